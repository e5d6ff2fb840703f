"""What a tracker is: one run of a chain in an experiment-tracking service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Tracked:
    """A run to be tracked.

    Attributes:
        name: of the chain.
        config: the resolved chain file without credentials, plain data.
        identity: under which the service knows the run already; None: it is new.
    """

    name: str
    config: Mapping[str, Any]
    identity: str | None


class Tracker(Protocol):
    """One service. Its methods may take as long as they like, and may raise: `Trackers` keeps that from training.

    Attributes:
        name: of the service, as `--track` takes it.
        identity: under which the service knows the run, to go on with it later.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Record the values of one step of a stage.

        Args:
            stage: the stage's folder, such as "01-ViT-T-16".
            step: optimizer step of that stage; after a failure some come again, with the same values.
            values: finite numbers by name, such as "train/loss".
        """
        ...

    def close(self, *, failed: bool) -> None:
        """End the run in the service, as finished or as failed; it may be opened again."""
        ...
