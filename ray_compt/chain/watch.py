"""Somebody who follows a run from the same process, and may end it: a sweep's trial does."""

from __future__ import annotations

from ray_compt.chain.ledger import StageEntry
from ray_compt.report.board import Event


class Watch:
    """Told of a run's course. Each method may raise `StageInterrupt`: a stage that trains writes a checkpoint first.

    This one does nothing; override what you need.
    """

    def event(self, entry: StageEntry, event: Event) -> None:
        """Something happened in the stage of `entry`, some four times a second while it trains."""

    def stage_done(self, entry: StageEntry) -> None:
        """A stage is done: just now, taken from a store, or by an earlier run."""

    def most_workers(self, entry: StageEntry) -> int | None:
        """How many workers the stage may have at the moment; None: as many as the chain file says."""
        return None

    def waiting(self) -> None:
        """Another run trains the stage that is wanted; called about once a second."""
