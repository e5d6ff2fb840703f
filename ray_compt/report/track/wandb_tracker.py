"""Weights & Biases. Project, entity, mode and server are its own settings: WANDB_PROJECT, WANDB_MODE and so on."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ray_compt.report.track.tracker import Tracked, Tracker

PROJECT = "ray_compt"


class WandbTracker:
    """A W&B run; each stage has its own step axis, `STAGE/step`, because W&B's own step may only grow."""

    name = "wandb"

    def __init__(self, run: Any):
        self._run = run
        self._stages: set[str] = set()

    @property
    def identity(self) -> str:
        return str(self._run.id)

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        axis = f"{stage}/step"
        if stage not in self._stages:
            self._stages.add(stage)
            self._run.define_metric(axis)
            self._run.define_metric(f"{stage}/*", step_metric=axis)
        self._run.log({axis: step, **{f"{stage}/{name}": value for name, value in values.items()}})

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


def open_wandb(tracked: Tracked) -> Tracker:
    """Start a run, or go on with it. Raises ImportError without the library, wandb.Error where it is refused."""
    import wandb

    run = wandb.init(
        project=wandb.setup().settings.project or PROJECT,
        name=tracked.name,
        id=tracked.identity or secrets.token_hex(4),
        resume="allow",
        config=dict(tracked.config),
        # The terminal is ours.
        settings=wandb.Settings(silent=True, console="off"),
    )
    return WandbTracker(run)
