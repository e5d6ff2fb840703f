"""Which metrics an evaluation after a stage can report, from the chain file alone. Pure.

The names are those of `ray_compt/evaluate/result.py`'s `scalars`; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator

from ray_compt.config.describe import suggest
from ray_compt.config.schema import DataConfig, EvaluateConfig
from ray_compt.config.suite_file import load_suite
from ray_compt.config.suite_keys import PROBES, Kind, TaskConfig
from ray_compt.errors import UserError

_RECALLS = tuple(f"{way}_r{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10))
_ACCURACIES = ("top1", "top5", "mean_per_class", "ece")
_METRICS: dict[Kind, tuple[str, ...]] = {
    "zero_shot": _ACCURACIES,
    "retrieval": _RECALLS,
    "linear_probe": _ACCURACIES,
    "knn": ("top1", "top5", "mean_per_class"),
}
_CORE = "core"
# Data whose pictures have classes without a class_field.
_LABELLED = ("builtin:", "folder:", "torchvision:")


def metric_names(data: DataConfig, evaluate: EvaluateConfig) -> list[str]:
    """Names of the metrics that a stage of such a chain can have; top5 only comes with 5 classes or more.

    Raises:
        UserError: the suite's file has a mistake.
    """
    names: list[str] = []
    if data.val is not None:
        classes = data.class_field is not None or _labelled(data.val)
        names += [f"zero_shot_{metric}" for metric in _ACCURACIES] if classes else []
        names += _RECALLS
        if classes and evaluate.suite == _CORE:
            probes: tuple[Kind, ...] = ("linear_probe", "knn")
            names += [f"{kind}/{metric}" for kind in probes for metric in _METRICS[kind]]
    if evaluate.suite is not None and evaluate.suite != _CORE:
        for task in load_suite(evaluate.suite).tasks:
            names += _of_task(task)
    return names


def check_metric(metric: str, data: DataConfig, evaluate: EvaluateConfig, where: str) -> None:
    """Raises UserError: no stage reports such a metric; the mend names what was meant, or all."""
    known = metric_names(data, evaluate)
    if metric in known:
        return
    if not known:
        raise UserError(
            f"objective.metric: nothing is measured, so no {metric}",
            where=where,
            mend="name validation data in data.val of the base chain, or with --set data.val=...",
        )
    mend = suggest(metric, known)
    if metric.startswith("zero_shot_") and not any(name.startswith("zero_shot_") for name in known):
        mend += "; zero-shot accuracy needs classes: name their field in data.class_field"
    elif metric.partition("/")[0] in PROBES and evaluate.suite is None:
        mend += "; probes need evaluate.suite: core"
    raise UserError(f"objective.metric: no stage reports {metric}", where=where, mend=mend)


def _labelled(val: str | list[str]) -> bool:
    return isinstance(val, str) and val.startswith(_LABELLED)


def _of_task(task: TaskConfig) -> Iterator[str]:
    if task.kind == "few_shot":
        metrics = tuple(f"top1_{shots}shot{spread}" for shots in task.shots for spread in ("", "_std"))
    else:
        metrics = _METRICS[task.kind]
    for prefix in (task.name, *(f"{task.name}/{corruption}" for corruption in task.corruptions)):
        yield from (f"{prefix}/{metric}" for metric in metrics)
