"""The board of a sweep: who runs, and who is asked to end. One small actor, asked by each trial about once a second."""

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
    """What each candidate is asked for, and which of them run."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._asked: dict[int, Request] = {}
        self._all = False

    def prune(self, candidate: int) -> None:
        self._asked[candidate] = "prune"

    def stop_all(self) -> None:
        self._all = True

    def join(self, candidate: int) -> None:
        """A candidate's trials begin, or go on."""
        self._running.add(candidate)

    def leave(self, candidate: int) -> None:
        self._running.discard(candidate)

    def asked(self, candidate: int) -> tuple[Request | None, int]:
        """What the candidate is asked for, and how many candidates run."""
        return "stop" if self._all else self._asked.get(candidate), len(self._running)


class StopLight:
    """A trial's view of the board."""

    def __init__(self, board: Any, candidate: int):
        self._board, self._candidate = board, candidate
        self._looked = float("-inf")
        self._raised = False
        self.running = 1

    def look(self, *, now: bool = False) -> None:
        """Raise `Pruned` or `Stopped`, once, where that was asked for; asks about once a second unless `now`.

        `running` is then the number of candidates that run. Once, because a stage that is ending is still heard.
        """
        if self._raised or (not now and time.monotonic() - self._looked < LOOK_EVERY_S):
            return
        self._looked = time.monotonic()
        try:
            asked, self.running = ray.get(self._board.asked.remote(self._candidate), timeout=ANSWER_S)
        except (ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
            # The driver is late or gone; Ray ends this process with it.
            return
        if asked is not None:
            self._raised = True
            raise Pruned if asked == "prune" else Stopped
