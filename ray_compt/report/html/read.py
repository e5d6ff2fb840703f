"""From a stage's files to facts; half a line, and what is no such line, is passed over, because the run may go on.

To show a further number of metrics.jsonl, give it a name in `_numbers` and a place in `figures/`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from ray_compt.data import BadSample
from ray_compt.report.html.facts import Curves, StageEvent, TaskFacts
from ray_compt.report.html.thinning import Thinner
from ray_compt.report.published import without_credentials
from ray_compt.storage import Place, read_lines

METRICS, EVENTS, BAD_SAMPLES = "metrics.jsonl", "events.jsonl", "bad_samples.jsonl"
EVALUATION = "evaluation.json"
NAMED = 50


def read_curves(stage: Place, global_batch: int) -> Curves:
    """What a stage recorded step by step.

    Args:
        stage: its folder.
        global_batch: samples of a step.
    """
    thinner = Thinner()
    for line in _objects(stage, METRICS):
        step = line.get("step")
        if "evaluation" not in line and isinstance(step, int) and step > 0:
            thinner.add(step, _numbers(line, global_batch))
    return thinner.curves()


def read_events(stage: Place) -> tuple[StageEvent, ...]:
    """What happened to a stage, in the order of time."""
    found = (
        StageEvent(line["time"], line["event"], line)
        for line in _objects(stage, EVENTS)
        if _number(line, "time") is not None and isinstance(line.get("event"), str)
    )
    return tuple(sorted(found, key=lambda event: event.time))


def read_tasks(stage: Place) -> tuple[TaskFacts, ...]:
    """What a stage's evaluation measured, in its order."""
    file = stage / EVALUATION
    try:
        found = json.loads(file.read_text()) if file.is_file() else {}
    except (ValueError, RecursionError):
        return ()
    tasks = found.get("tasks") if isinstance(found, dict) else None
    return tuple(_task(task) for task in _list(tasks) if isinstance(_object(task).get("name"), str))


def read_bad_samples(stage: Place) -> tuple[BadSample, ...]:
    """The first `NAMED` samples that a stage could not use, URLs without credentials."""
    texts = ("key", "shard", "reason")
    found = (
        line for line in _objects(stage, BAD_SAMPLES) if all(isinstance(line.get(k), str) for k in texts)
    )
    return tuple(
        BadSample(
            line["key"], without_credentials(line["shard"]), line["reason"], int(_number(line, "count") or 1)
        )
        for line in islice(found, NAMED)
    )


def _numbers(line: Mapping[str, Any], global_batch: int) -> dict[str, float]:
    """The numbers of one step that are shown, those that are finite."""
    found = {name: _number(line, name) for name in ("task_loss", "lr", "grad_norm")}
    distill, weight = _number(line, "distill_loss"), _number(line, "distill_weight")
    if weight and distill is not None:
        found["distill_loss"] = weight * distill
    step_ms = _number(line, "step_ms")
    if step_ms:
        waited, taught = _number(line, "wait_ms") or 0.0, _number(line, "teacher_wait_ms") or 0.0
        found |= {"step_ms": step_ms, "data_ms": max(0.0, waited - taught), "teacher_ms": taught}
        found["read"] = global_batch - (_number(line, "unreadable") or 0)
    return {name: value for name, value in found.items() if value is not None}


def _task(task: Mapping[str, Any]) -> TaskFacts:
    intervals = {
        name: (float(ends[0]), float(ends[1]))
        for name, ends in _object(task.get("intervals")).items()
        if len(_list(ends)) == 2 and len(_finite(dict(enumerate(ends)))) == 2
    }
    corruptions = {
        name: _finite(_object(metrics)) for name, metrics in _object(task.get("corruptions")).items()
    }
    severity = _number(_object(task.get("facts")), "severity")
    return TaskFacts(
        name=task["name"],
        kind=str(task.get("kind")),
        metrics=_finite(_object(task.get("metrics"))),
        intervals=intervals,
        corruptions={name: metrics for name, metrics in corruptions.items() if metrics},
        severity=None if severity is None else int(severity),
    )


def _finite(values: Mapping[Any, Any]) -> dict[Any, float]:
    """The values that are finite numbers."""
    found = {name: _number(values, name) for name in values}
    return {name: value for name, value in found.items() if value is not None}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(line: Mapping[Any, Any], name: Any) -> float | None:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def _objects(stage: Place, name: str) -> Iterator[dict[str, Any]]:
    for line in read_lines(stage, name):
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found
