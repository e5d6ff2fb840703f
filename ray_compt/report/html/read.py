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
from ray_compt.report.html.facts import Curves, StageEvent
from ray_compt.report.html.thinning import Thinner
from ray_compt.report.published import without_credentials
from ray_compt.storage import Place, read_lines

METRICS, EVENTS, BAD_SAMPLES = "metrics.jsonl", "events.jsonl", "bad_samples.jsonl"
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


def _number(line: Mapping[str, Any], name: str) -> float | None:
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
