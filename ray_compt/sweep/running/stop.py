"""A sweep's board: who is asked to end, and how many run. One small actor, asked by each trial about once a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_compt.train.stage import StageInterrupt

Request = Literal["prune", "stop"]
LOOK_EVERY_S = 1.0
ANSWER_S = 30.0


class Pruned(StageInterrupt):
    """The scheduler has ended the trial."""


class Stopped(StageInterrupt):
    """The sweep stops; the trial goes on with the next."""


class StopBoard:
    """What each candidate is asked for, and how many of them run."""

    def __init__(self) -> None:
        self._running = 1
        self._asked: dict[int, Request] = {}
        self._all = False

    def prune(self, candidate: int) -> None:
        self._asked[candidate] = "prune"

    def stop_all(self) -> None:
        self._all = True

    def count(self, running: int) -> None:
        """Say how many candidates run."""
        self._running = running

    def running(self) -> int:
        return self._running

    def asked(self, candidate: int) -> Request | None:
        return "stop" if self._all else self._asked.get(candidate)


def start_stop_board() -> Any:
    """Start a board without reserved CPUs, on the driver's node, so that it lives as long as the driver does."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(StopBoard).options(num_cpus=0, scheduling_strategy=here).remote()


def ask_board(board: Any, candidate: int) -> Request | None:
    """What a candidate is asked for; nothing where the board is late, or gone: Ray ends this process with it."""
    with suppress(ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
        return ray.get(board.asked.remote(candidate), timeout=ANSWER_S)
    return None


def count_running(board: Any) -> int:
    """How many candidates run; 1 where the board is late or gone."""
    with suppress(ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
        return ray.get(board.running.remote(), timeout=ANSWER_S)
    return 1


def tell_board(request: Any) -> None:
    """Wait until the board knows of a request; one that is late has it all the same, and one that is lost none."""
    with suppress(ray.exceptions.GetTimeoutError, ray.exceptions.RayActorError):
        ray.get(request, timeout=ANSWER_S)


class StopLight:
    """A candidate's view of the board.

    Args:
        asked: says what the candidate is asked for.
        clock: seconds.

    Attributes:
        raised: what it has asked for.
    """

    def __init__(self, asked: Callable[[], Request | None], clock: Callable[[], float] = time.monotonic):
        self._asked, self._clock = asked, clock
        self._looked = float("-inf")
        self.raised: Request | None = None

    def look(self, *, now: bool = False) -> None:
        """Raise `Pruned` or `Stopped`, once, where that was asked for; asks about once a second unless `now`.

        Once, because a stage that is ending is still heard.
        """
        if self.raised is not None or (not now and self._clock() - self._looked < LOOK_EVERY_S):
            return
        self._looked = self._clock()
        self.raised = self._asked()
        if self.raised is not None:
            raise Pruned if self.raised == "prune" else Stopped
