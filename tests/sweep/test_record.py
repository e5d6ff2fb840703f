"""A sweep's record survives being stored, and what is no record is refused in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_compt.errors import UserError
from ray_compt.storage import open_place
from ray_compt.sweep.record import FILE, SweepRecord, read_record, write_record
from tests.sweep.records import METRIC, done, eventful, stage, sweep, trial


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / FILE


def stored(file: Path, record: SweepRecord) -> dict[str, Any]:
    write_record(open_place(file), record)
    return json.loads(file.read_text())


def test_a_record_is_read_as_it_was_written(file: Path) -> None:
    record = eventful()
    write_record(open_place(file), record)
    assert read_record(open_place(file)) == record
    assert [path.name for path in file.parent.iterdir()] == [FILE]


def test_values_of_any_kind_keep_their_type(file: Path) -> None:
    values = {"a": 1, "b": 1.0, "c": True, "d": None, "e": "1", "f": [1, {"g": 2.5}]}
    write_record(open_place(file), sweep(trial(0, values=values)))
    (found,) = read_record(open_place(file)).trials
    assert found.values == values
    assert [type(value) for value in found.values.values()] == [type(value) for value in values.values()]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_does_not_know_becomes_null(file: Path, value: float) -> None:
    document = stored(file, sweep(trial(0, metric=value)))
    assert document["trials"][0]["stages"][0]["metrics"] == {METRIC: None}
    assert math.isnan(read_record(open_place(file)).trials[0].metrics[METRIC])


def test_costs_are_told_apart_by_who_paid() -> None:
    stages = (
        done("T", "t", 0.1, 100, reused=True),
        done("S", "s", 0.2, 30),
        stage("M", state="running", macs=7),
    )
    found = trial(0, stages=stages)
    assert (found.macs, found.macs_paid, found.macs_saved) == (137, 37, 100)
    assert (found.seconds, found.seconds_paid) == pytest.approx((1.3, 0.3))
    record = sweep(found, trial(1, macs=5))
    assert (record.macs_paid, record.macs_saved) == (42, 100)


def test_metrics_are_those_of_the_last_stage_that_is_done() -> None:
    stages = (done("T", "t", 0.1, 1), done("S", "s", 0.2, 1), stage("M", state="running"))
    assert trial(0, stages=stages).metrics == {METRIC: 0.2}
    assert trial(0, stages=(stage("T", state="running"),)).metrics == {}


def without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document.pop(key)


def change(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update(changes)


def change_trial(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["trials"][0].update(changes)


def change_stage(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["trials"][0]["stages"][0].update(changes)


@pytest.mark.parametrize(
    "harm, said",
    [
        (without("schema"), "schema is missing"),
        (without("trials"), "trials is missing"),
        (without("text"), "text"),
        (change(schema=99), "schema 99 is not 1"),
        (change(colour="red"), "colour"),
        (change(trials=3), "not iterable"),
        (change(objective={"metric": METRIC, "mode": "best"}), "the mode best is neither max nor min"),
        (change_trial(state="lost"), "trials.0.state"),
        (change_trial(seed="zero"), "trials.0.seed"),
        (change_trial(shape="round"), "shape"),
        (change_trial(run="../elsewhere"), "../elsewhere is not inside the sweep"),
        (change_trial(run="/elsewhere"), "/elsewhere is not inside the sweep"),
        (change_stage(macs="many"), "trials.0.stages.0.macs"),
        (change_stage(metrics=[1]), "no attribute"),
    ],
)
def test_what_is_no_record_says_so(file: Path, harm: Callable[[dict[str, Any]], Any], said: str) -> None:
    document = stored(file, sweep(trial(0)))
    harm(document)
    file.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        read_record(open_place(file))
    assert said in caught.value.message and caught.value.where == str(file) and caught.value.mend


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\x00"])
def test_what_is_no_json_object_says_so(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(UserError, match="the sweep's record cannot be read"):
        read_record(open_place(file))


def test_an_absent_record_says_so(file: Path) -> None:
    with pytest.raises(UserError, match="no sweep here"):
        read_record(open_place(file))
