"""Events from the workers to the driver's terminal, through one small actor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ray


@dataclass(frozen=True)
class Event:
    """Something that happened in a stage.

    Attributes:
        kind: "started", "progress", "checkpoint", "bad_sample" or "note".
        values: what the kind needs, all plain numbers and strings.
    """

    kind: str
    values: dict[str, Any]


class Board:
    """Keeps events until the driver collects them; progress events replace one another."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def post(self, kind: str, values: dict[str, Any]) -> None:
        if kind == "progress" and self._events and self._events[-1].kind == "progress":
            self._events.pop()
        self._events.append(Event(kind, values))

    def collect(self) -> list[Event]:
        events, self._events = self._events, []
        return events


def start_board() -> Any:
    """Start a board without reserved CPUs; it ends with the driver."""
    return ray.remote(Board).options(num_cpus=0).remote()
