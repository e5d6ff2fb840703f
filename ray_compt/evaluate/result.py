"""What an evaluation leaves: `evaluation.json` beside the model, and the scalars of the ledger and TensorBoard.

{"schema": 1, "suite": NAME, "model": {...}, "tasks": [{"name", "kind", "data", "train", "metrics",
 "intervals", "corruptions", "facts"}, ...], "versions": {...}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from ray_compt import __version__
from ray_compt.evaluate.measure import Measured
from ray_compt.evaluate.tasks import Task
from ray_compt.models.checksums import file_digest
from ray_compt.models.store import weights_file
from ray_compt.storage import open_place

SCHEMA = 1
EVALUATION_FILE = "evaluation.json"
# Tasks on a run's own validation split, whose scalars have had these names from the first version on.
ZERO_SHOT, RETRIEVAL = "zero_shot", "retrieval"
_PACKAGES = ("torch", "open_clip_torch")


@dataclass(frozen=True)
class TaskResult:
    """What one task came to on one model.

    Attributes:
        name, kind: of the task.
        data: the pictures it was measured on: how they were named, a digest of them, and how many can be read and
            how many cannot.
        train: likewise, of a probe.
        metrics, intervals, facts: see `Measured`.
        corruptions: metrics on corrupted pictures, by corruption.
    """

    name: str
    kind: str
    data: dict[str, Any]
    train: dict[str, Any] | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    corruptions: dict[str, dict[str, float]]
    facts: dict[str, Any]


def task_result(
    task: Task,
    measured: Measured,
    corruptions: dict[str, dict[str, float]],
    sizes: Mapping[Any, tuple[int, int]],
) -> TaskResult:
    """A task's result; `sizes` are the readable and unreadable samples of each split."""

    def described(split: Any) -> dict[str, Any]:
        readable, unreadable = sizes[split]
        return {
            "name": split.name,
            "digest": split.index.digest,
            "pictures": readable,
            "unreadable": unreadable + split.index.bad_samples,
        }

    facts = dict(measured.facts)
    if corruptions:
        facts["severity"] = task.config.severity
    return TaskResult(
        task.config.name,
        task.config.kind,
        described(task.data),
        described(task.train) if task.train else None,
        measured.metrics,
        measured.intervals,
        corruptions,
        facts,
    )


def scalars(results: Sequence[TaskResult]) -> dict[str, float]:
    """All metrics as one flat dictionary: `TASK/METRIC`, and `TASK/CORRUPTION/METRIC` for corrupted pictures.

    Those of the standard tasks are `zero_shot_top1`, `image_to_text_r1` and so on, and `samples` is the number of
    pictures that they were measured on.
    """
    found: dict[str, float] = {}
    for result in results:
        prefix = {ZERO_SHOT: "zero_shot_", RETRIEVAL: ""}.get(result.name, f"{result.name}/")
        found |= {f"{prefix}{metric}": value for metric, value in result.metrics.items()}
        for name, metrics in result.corruptions.items():
            found |= {f"{result.name}/{name}/{metric}": value for metric, value in metrics.items()}
        if result.name == RETRIEVAL:
            found["samples"] = float(result.data["pictures"])
    return {name: value for name, value in found.items() if math.isfinite(value)}


def document(
    suite: str, seed: int, model: Mapping[str, Any], results: Sequence[TaskResult]
) -> dict[str, Any]:
    """The content of `evaluation.json`."""
    versions = {"ray_compt": __version__, **{name: metadata.version(name) for name in _PACKAGES}}
    return {
        "schema": SCHEMA,
        "suite": suite,
        "seed": seed,
        "model": dict(model),
        "tasks": [asdict(result) for result in results],
        "versions": versions,
    }


def model_checksum(ref: str) -> str | None:
    """blake2b of a model's weights file, as `checksums.json` has it; None where `ref` names no folder of ours."""
    folder = open_place(ref)
    file = weights_file(folder)
    return file_digest(file) if folder.is_folder() and file.is_file() else None
