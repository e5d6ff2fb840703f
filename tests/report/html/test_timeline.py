"""How many workers there were, from starts, resizes, failures and silence."""

from __future__ import annotations

from dataclasses import replace

from ray_compt.report.html.facts import RunFacts, StageEvent
from ray_compt.report.html.timeline import workers_over_time
from tests.report.html.eventful import BEGIN


def test_an_eventful_stage(facts: RunFacts) -> None:
    changes = workers_over_time(facts.stages[0])
    assert [(change.time - BEGIN, change.count) for change in changes] == [
        (0, 2),
        (30, 0),  # resized
        (40, 4),
        (50, 0),  # failed
        (60, 2),
        (70, 0),  # nothing more was heard of them before the next start
        (500, 1),
        (600, 0),  # done
    ]


def test_a_stage_that_still_trains_keeps_its_workers(facts: RunFacts) -> None:
    changes = workers_over_time(replace(facts.stages[0], state="running"))
    assert changes[-1].count == 1


def test_odd_events_are_no_workers(facts: RunFacts) -> None:
    events = [StageEvent(1.0, "failure", {}), StageEvent(2.0, "started", {"workers": "many"})]
    assert [change.count for change in workers_over_time(replace(facts.stages[0], events=events))] == [0]
    assert workers_over_time(replace(facts.stages[0], events=())) == []
