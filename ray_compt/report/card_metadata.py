"""The head of a model card: the metadata that the Hugging Face hub reads, and the names of metrics.

A further metric shows up by itself; give it a name in `NAMES` where its key reads badly.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

TAGS = ("clip", "ray_compt", "chain-of-models-pre-training")
PIPELINE = "zero-shot-image-classification"
NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "zero_shot_top1": "zero-shot top-1",
    "zero_shot_top5": "zero-shot top-5",
    "zero_shot_mean_per_class": "zero-shot mean per class",
    "zero_shot_ece": "zero-shot calibration error",
    **{f"image_to_text_r{k}": f"image to text R@{k}" for k in (1, 5, 10)},
    **{f"text_to_image_r{k}": f"text to image R@{k}" for k in (1, 5, 10)},
}
# Of how many pictures the metrics are; no metric itself.
COUNT = "samples"

_KINDS = (
    (re.compile(r"zero_shot_top\d+"), PIPELINE, "accuracy"),
    (re.compile(r"top\d+"), "image-classification", "accuracy"),
    (re.compile(r"(image_to_text|text_to_image)_r\d+"), "image-text-retrieval", "recall"),
)


def metadata(
    model: str,
    split: str,
    metrics: Mapping[str, float],
    *,
    pipeline: str = PIPELINE,
    tags: Sequence[str] = TAGS,
) -> str:
    """The YAML between the card's `---` lines.

    Args:
        model: name of the model in the list of results.
        split: what the metrics were measured on.
        metrics: as in the ledger; those that the hub has a task for become results.
        pipeline: the hub's name of what the model is for.
        tags: what it is found by.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=kind[0],
            dataset_type="custom",
            dataset_name=split,
            metric_type=kind[1],
            metric_name=metric_name(key),
            metric_value=float(value),
        )
        for key, value in metrics.items()
        if (kind := _kind(key)) and math.isfinite(value)
    ]
    return ModelCardData(
        library_name="open_clip",
        pipeline_tag=pipeline,
        tags=list(tags),
        model_name=model,
        eval_results=results or None,
    ).to_yaml()


def metric_name(key: str) -> str:
    return NAMES.get(key, key.replace("_", " "))


def metric_value(key: str, value: float) -> str:
    """A share as a percentage; four digits of anything else."""
    return f"{100 * value:.2f} %" if _kind(key) and math.isfinite(value) else f"{value:.4g}"


def _kind(key: str) -> tuple[str, str] | None:
    """The hub's names of a metric's task and of the metric."""
    return next(((task, metric) for form, task, metric in _KINDS if form.fullmatch(key)), None)
