"""How far a run is, from its ledger, its plan and its events."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.lock import Driver
from ray_compt.config.load import make_chain
from ray_compt.jobs.status import SILENT_S, Planned, RunStatus, planned_work, run_status
from ray_compt.jobs.words import GOES_ON, headline, notes, rows
from ray_compt.plan.cost import plan_chain
from tests.cli.small import small_chain

HERE = Driver("a1", 12, 0.0, "raysubmit_1", True)
GONE = replace(HERE, alive=False)
ELSEWHERE = replace(HERE, alive=None)
PLAN = [Planned(100, 1000, 8), Planned(50, 4000, 8)]
DONE = StageEntry("small", "01-small", "S", 1, state="done", steps=100, macs=1000, seconds=10.0)
STARTED = {"event": "started", "workers": 3}


def _second(**changes: Any) -> StageEntry:
    return replace(StageEntry("large", "02-large", "L", 1), **changes)


def _status(
    *entries: StageEntry, driver: Driver | None = HERE, heard: float | None = 1.0, **more: Any
) -> RunStatus:
    events = more.pop("events", [STARTED])
    return run_status("/r", "c", entries, more.pop("planned", PLAN[: len(entries)]), events, driver, heard)


def test_a_running_stage_has_its_step_workers_and_time_left() -> None:
    status = _status(DONE, _second(state="running", steps=10, samples_per_second=16.0, macs=800, seconds=9.0))
    assert (status.state, status.current) == ("running", 1)
    stage = status.stages[1]
    assert (stage.step, stage.steps, stage.workers) == (10, 50, 3)
    assert stage.seconds_left == 40 * 8 / 16
    assert status.seconds_left == 20.0


def test_a_stage_to_come_takes_as_long_as_its_macs_have_so_far() -> None:
    status = _status(DONE, _second(), events=[])
    assert status.seconds_left == pytest.approx(4000 * 10 / 1000)


def test_stages_from_a_store_tell_nothing_about_the_speed_here() -> None:
    assert _status(replace(DONE, reused=True), _second()).seconds_left is None


def test_nothing_is_known_before_the_samples_are_counted() -> None:
    status = _status(_second(state="running"), planned=None)
    assert (status.stages[0].steps, status.seconds_left) == (None, None)
    assert "step 0/?" in headline(status) and "not known yet" in headline(status)


@pytest.mark.parametrize(
    "driver, heard, state",
    [
        (HERE, 1e6, "running"),
        (GONE, 1.0, "stopped"),
        (None, 1.0, "stopped"),
        (ELSEWHERE, SILENT_S - 1, "running"),
        (ELSEWHERE, SILENT_S + 1, "stopped"),
    ],
)
def test_a_run_is_stopped_where_nobody_trains(driver: Driver | None, heard: float, state: str) -> None:
    status = _status(DONE, _second(state="running", steps=3), driver=driver, heard=heard)
    assert status.state == status.stages[1].state == state
    assert (status.driver is None) is (state == "stopped")
    assert (status.stages[1].workers is None) is (state == "stopped")


@pytest.mark.parametrize(
    "state, driver, expected",
    [
        ("pending", None, "stopped"),
        ("failed", None, "failed"),
        ("failed", HERE, "running"),
        ("done", HERE, "done"),
    ],
)
def test_the_state_of_a_run_is_that_of_its_stages(state: str, driver: Driver | None, expected: str) -> None:
    assert _status(DONE, _second(state=state), driver=driver).state == expected


def test_a_run_that_has_not_begun_is_pending() -> None:
    assert _status(replace(DONE, state="pending"), _second(), driver=None).state == "pending"


@pytest.mark.parametrize(
    "events, workers",
    [
        ([], None),
        ([STARTED, {"event": "running", "workers": 3}], 3),
        ([STARTED, {"event": "resize", "from": 3, "to": 1}], None),
        ([STARTED, {"event": "failure"}, {"event": "started", "workers": 2}], 2),
        ([STARTED, {"event": "checkpoint", "step": 4}, {"what": 1}], 3),
    ],
)
def test_workers_are_those_of_the_last_group(events: list[dict[str, Any]], workers: int | None) -> None:
    status = _status(_second(state="running"), planned=PLAN[1:], events=events)
    assert status.stages[0].workers == workers


def test_an_individual_model_that_is_a_stage_counts_once() -> None:
    alone = replace(_second(), folder="individual/02-large")
    status = _status(DONE, _second(), DONE, alone, planned=[*PLAN, *PLAN])
    assert [stage.folder for stage in status.stages] == ["01-small", "02-large", "individual/02-large"]


def test_the_plan_is_that_of_compt_plan() -> None:
    chain = make_chain(small_chain(), (), "here")
    cost = plan_chain(chain, 1000)
    planned = planned_work(cost, individual=True)
    assert [one.steps for one in planned] == [4 * 62, 62, 4 * 62, 4 * 62]
    assert [one.macs for one in planned[:2]] == [stage.macs for stage in cost.stages]
    assert {one.global_batch for one in planned} == {16}


@given(
    st.integers(0, 50),
    st.just(0.0) | st.floats(0.1, 1e4),
    st.floats(0, 1e6),
    st.integers(0, 10**12),
    st.sampled_from(["pending", "running", "failed", "done"]),
)
def test_time_left_is_a_time_and_less_with_every_step(
    step: int, rate: float, seconds: float, macs: int, state: str
) -> None:
    entry = _second(state=state, steps=step, samples_per_second=rate, seconds=seconds, macs=macs)
    now = _status(entry, planned=PLAN[1:]).seconds_left
    later = _status(replace(entry, steps=min(50, step + 1)), planned=PLAN[1:]).seconds_left
    assert (now is None) is (later is None)
    assert now is None or (math.isfinite(now) and 0 <= later <= now)
    assert state != "done" or now == 0


def test_the_words_say_where_it_is_and_who_trains() -> None:
    status = _status(DONE, _second(state="running", steps=10, samples_per_second=16.0))
    assert headline(status) == "chain c: running, stage 2/2 large, step 10/50, 3 workers, about 20 s left"
    assert rows(status)[1] == ("02-large", "running", "10/50", "3", "16", "-", "20 s")
    assert "host a1, pid 12, Ray job raysubmit_1" in notes(status)[0]
    assert "/r" in notes(status)[1]


def test_the_words_of_a_failed_run_give_the_reason_and_what_goes_on() -> None:
    status = _status(DONE, _second(state="failed", error="no room"), driver=None)
    assert headline(status).endswith(GOES_ON["failed"])
    assert notes(status)[0] == "failed: 02-large: no room"


def test_it_is_plain_data() -> None:
    found = json.loads(json.dumps(_status(DONE, _second(state="running")).to_json()))
    assert found["stages"][1]["workers"] == 3
    assert found["driver"]["job"] == "raysubmit_1"
    assert found["current"] == 1
