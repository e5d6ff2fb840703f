"""One small actor between a stage's workers and its driver: events go up, requests come down.

The scaling policy, which lives in Ray Train's controller, uses it as well. It is pinned to the driver's node, so
it lives as long as the driver does.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@dataclass(frozen=True)
class Event:
    """Something that happened in a stage.

    Attributes:
        kind: "started" (a worker group has its checkpoint), "running" (and has taken its first step), "progress",
            "checkpoint", "bad_sample", "features", "resize", "failure" or "note".
        values: what the kind needs, all plain numbers and strings.
        time: seconds since the epoch.
    """

    kind: str
    values: dict[str, Any]
    time: float = field(default_factory=time.time)


class Board:
    """Keeps events until the driver collects them, and requests until the workers have seen them.

    Progress events replace one another. A request is a name and a number that only grows, so that workers can
    tell a new one from one that they have answered.
    """

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._request: tuple[int, str | None] = (0, None)
        self._final = False
        self._begun = self._answered = 0
        self._saved = -1
        self._most: int | None = None

    def post(self, kind: str, values: dict[str, Any]) -> None:
        if kind == "progress" and self._events and self._events[-1].kind == "progress":
            self._events.pop()
        if kind == "checkpoint":
            self._saved = max(self._saved, values["step"])
        self._events.append(Event(kind, values))

    def collect(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def ask(self, request: str | None, *, final: bool = False) -> int:
        """Set what the workers are asked for (None: nothing any more); returns its number.

        A final request stays whatever is asked later.
        """
        if not self._final:
            self._request = (self._request[0] + 1, request)
            self._final = final
        return self._request[0]

    def request(self) -> tuple[int, str | None]:
        return self._request

    def begin(self, number: int) -> None:
        """Say that all workers know of request `number` and start on its checkpoint."""
        self._begun = max(self._begun, number)

    def answer(self, number: int) -> None:
        """Say that request `number` has been fulfilled, and that its checkpoint is committed."""
        self._answered = max(self._answered, number)

    def heard(self) -> tuple[int, int]:
        """Numbers of the newest request that the workers have begun with, and of the newest fulfilled one."""
        return self._begun, self._answered

    def limit(self, most: int | None) -> None:
        """Let the stage have at most so many workers from now on; None: as many as its file says."""
        self._most = most

    def most(self) -> int | None:
        """What `limit` said last."""
        return self._most

    def saved(self) -> int:
        """Step of the furthest checkpoint, -1 before the first."""
        return self._saved


def start_board() -> Any:
    """Start a board without reserved CPUs; it ends with the driver."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Board).options(num_cpus=0, scheduling_strategy=here).remote()
