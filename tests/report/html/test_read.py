"""A stage's files become facts, whatever else stands in them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from ray_compt.report.html.read import NAMED, read_bad_samples, read_curves, read_events, read_tasks
from ray_compt.storage import open_place, parts
from ray_compt.train.metrics import MetricsWriter

STEP = {"task_loss": 2.0, "distill_loss": 0.5, "distill_weight": 2.0, "lr": 1e-3, "unreadable": 4}
TIMES = {"wait_ms": 30.0, "teacher_wait_ms": 10.0, "step_ms": 100.0}


def write(folder: Path, name: str, *lines: object) -> Path:
    (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_steps_numbers(tmp_path: Path) -> None:
    writer = MetricsWriter(open_place(tmp_path), 0)
    writer.write(1, {**STEP, **TIMES, "grad_norm": 3.0})
    writer.close()
    curves = read_curves(open_place(tmp_path), 16)
    assert curves.steps == (1,)
    assert {name: values[0] for name, values in curves.values.items()} == {
        "task_loss": 2.0,
        "distill_loss": 1.0,
        "lr": 1e-3,
        "grad_norm": 3.0,
        "step_ms": 100.0,
        "data_ms": 20.0,
        "teacher_ms": 10.0,
        "read": 12,
    }


def test_a_first_step_has_no_time_and_one_without_a_teacher_no_distillation(tmp_path: Path) -> None:
    write(
        tmp_path, "metrics.jsonl", {"step": 1, **STEP, "distill_weight": 0.0, "wait_ms": 5, "step_ms": None}
    )
    assert set(read_curves(open_place(tmp_path), 16).values) == {"task_loss", "lr"}


@pytest.mark.parametrize(
    "line",
    ["", "{", "[1]", "null", '{"step": "1"}', '{"step": 0}', '{"step": 1, "evaluation": {}}', "[" * 99999],
)
def test_what_is_no_step_is_passed_over(tmp_path: Path, line: str) -> None:
    good = json.dumps({"step": 2, "task_loss": 1.0})
    (tmp_path / "metrics.jsonl").write_text(f"{line}\n{good}\n{good[:9]}")
    curves = read_curves(open_place(tmp_path), 16)
    assert (curves.steps, curves.values) == ((2,), {"task_loss": (1.0,)})


@pytest.mark.parametrize("value", ["null", "NaN", "Infinity", '"1"', "true", "{}"])
def test_what_is_no_finite_number_is_left_out(tmp_path: Path, value: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1, "task_loss": {value}, "lr": 1.0}}\n')
    assert read_curves(open_place(tmp_path), 16).values == {"lr": (1.0,)}


def test_all_parts_of_the_metrics_are_read(tmp_path: Path) -> None:
    write(tmp_path, "metrics.jsonl", {"step": 1, "lr": 1.0})
    write(tmp_path, parts.part_name("metrics.jsonl", 1), {"step": 2, "lr": 2.0})
    assert read_curves(open_place(tmp_path), 16).values["lr"] == (1.0, 2.0)


def test_a_stage_that_has_not_begun_has_nothing(tmp_path: Path) -> None:
    place = open_place(tmp_path / "nowhere")
    assert read_curves(place, 16).steps == ()
    assert (read_events(place), read_bad_samples(place)) == ((), ())


def test_events_come_in_the_order_of_time(tmp_path: Path) -> None:
    write(
        tmp_path,
        "events.jsonl",
        {"time": 2.0, "event": "checkpoint", "step": 5},
        {"time": 1.0, "event": "started", "workers": 2},
        {"time": "x", "event": "note"},
        {"time": 3.0},
        7,
    )
    found = read_events(open_place(tmp_path))
    assert [(event.kind, event.time) for event in found] == [("started", 1.0), ("checkpoint", 2.0)]
    assert found[1].values["step"] == 5


def test_bad_samples_are_few_and_without_credentials(tmp_path: Path) -> None:
    bad = {"key": "a", "shard": "s3://key:secret@bucket/0.tar", "reason": "no picture", "count": 1}
    write(tmp_path, "bad_samples.jsonl", {"key": 1}, *[bad] * (NAMED + 1))
    found = read_bad_samples(open_place(tmp_path))
    assert len(found) == NAMED
    assert (found[0].shard, found[0].reason) == ("s3://bucket/0.tar", "no picture")


def test_an_evaluations_tasks_without_what_is_no_finite_number(tmp_path: Path) -> None:
    task = {
        "name": "a",
        "kind": "zero_shot",
        "metrics": {"top1": 0.5, "ece": None, "top5": math.nan},
        "intervals": {"top1": [0.4, 0.6], "top5": [0.1], "ece": 7, "r": [0.1, None]},
        "corruptions": {"blur": {"top1": 0.25}, "jpeg": {}, "noise": 3},
        "facts": {"severity": 3},
    }
    (tmp_path / "evaluation.json").write_text(json.dumps({"tasks": [task, {"name": "b"}, {"kind": "c"}, 7]}))
    first, second = read_tasks(open_place(tmp_path))
    assert (first.name, first.kind, first.severity) == ("a", "zero_shot", 3)
    assert (first.metrics, first.intervals) == ({"top1": 0.5}, {"top1": (0.4, 0.6)})
    assert first.corruptions == {"blur": {"top1": 0.25}}
    assert (second.name, second.metrics, second.severity) == ("b", {}, None)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tasks": 1}', '{"tasks": [null]}', "[" * 99999, "\xff"])
def test_what_is_no_evaluation_is_none(tmp_path: Path, text: str) -> None:
    assert read_tasks(open_place(tmp_path)) == ()
    (tmp_path / "evaluation.json").write_bytes(text.encode("latin-1"))
    assert read_tasks(open_place(tmp_path)) == ()
