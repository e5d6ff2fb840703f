"""How many workers a stage had at every moment, as far as its events tell.

A group of workers is there from "started" until it is resized, fails, or takes its last checkpoint. A driver that is
killed leaves no event: its group is taken to end with the last that was heard of it before the next one starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ray_compt.report.html.facts import StageEvent, StageFacts

ENDS = ("resize", "failure")


@dataclass(frozen=True)
class Workers:
    """A change of the number of workers: `count` from `time` (seconds since the epoch) on."""

    time: float
    count: int


def workers_over_time(stage: StageFacts) -> list[Workers]:
    """The changes of a stage's workers in the order of time, ending with 0 where it is done."""
    changes: list[Workers] = []
    for number, event in enumerate(stage.events):
        if event.kind == "started":
            if changes and changes[-1].count:
                changes.append(Workers(_before(stage.events, number), 0))
            changes.append(Workers(event.time, _count(event)))
        elif event.kind in ENDS and changes:
            changes.append(Workers(event.time, 0))
    if changes and changes[-1].count and stage.done:
        changes.append(Workers(stage.events[-1].time, 0))
    return changes


def _before(events: Sequence[StageEvent], number: int) -> float:
    return events[max(0, number - 1)].time


def _count(event: StageEvent) -> int:
    workers = event.values.get("workers")
    return workers if isinstance(workers, int) and workers > 0 else 0
