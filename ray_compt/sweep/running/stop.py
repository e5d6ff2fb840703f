"""The board on which candidates are asked to end: one small actor, asked by each trial about once a second."""

from __future__ import annotations

import time
from typing import Any, Literal

import ray

from ray_compt.train.stage import StageInterrupt

Request = Literal["prune", "stop"]
LOOK_EVERY_S = 1.0
ANSWER_S = 30.0


class Pruned(StageInterrupt):
    """The scheduler has ended the trial."""


class Stopped(StageInterrupt):
    """The sweep stops; the trial goes on with the next."""


class StopBoard:
    """What each candidate is asked for."""

    def __init__(self) -> None:
        self._asked: dict[int, Request] = {}
        self._all = False

    def prune(self, candidate: int) -> None:
        self._asked[candidate] = "prune"

    def stop_all(self) -> None:
        self._all = True

    def asked(self, candidate: int) -> Request | None:
        return "stop" if self._all else self._asked.get(candidate)


class StopLight:
    """A trial's view of the board."""

    def __init__(self, board: Any, candidate: int):
        self._board, self._candidate = board, candidate
        self._looked = float("-inf")
        self._raised = False

    def look(self, *, now: bool = False) -> None:
        """Raise `Pruned` or `Stopped`, once, where that was asked for; asks about once a second unless `now`.

        Once, because a stage that is ending is still heard.
        """
        if self._raised or (not now and time.monotonic() - self._looked < LOOK_EVERY_S):
            return
        self._looked = time.monotonic()
        try:
            asked = ray.get(self._board.asked.remote(self._candidate), timeout=ANSWER_S)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            # The driver is late or gone; Ray ends this process with it.
            return
        if asked is not None:
            self._raised = True
            raise Pruned if asked == "prune" else Stopped
