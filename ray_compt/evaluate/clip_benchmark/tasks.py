"""clip_benchmark's tasks on one model and one data set, with its metrics under our names.

Everything runs in float32, as `compt eval` does; clip_benchmark's own command uses mixed precision unless it is
told `--no_amp`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable

from ray_compt.errors import UserError
from ray_compt.evaluate.clip_benchmark.accuracy import mended_accuracy
from ray_compt.evaluate.clip_benchmark.catalogue import Request, Task
from ray_compt.evaluate.clip_benchmark.datasets import batches, locate, open_split, task_of, training_split
from ray_compt.evaluate.clip_benchmark.model import Subject
from ray_compt.evaluate.metrics import RECALL_AT

TEST = "test"
# clip_benchmark's defaults for its linear probe.
PROBE_LR, PROBE_EPOCHS, PROBE_SEED, ALL_SHOTS = 0.1, 10, 0, -1

OURS = {
    "acc1": "zero_shot_top1",
    "acc5": "zero_shot_top5",
    "mean_per_class_recall": "zero_shot_mean_per_class",
    "mean_average_precision": "zero_shot_map",
    **{f"text_retrieval_recall@{k}": f"image_to_text_r{k}" for k in RECALL_AT},
    **{f"image_retrieval_recall@{k}": f"text_to_image_r{k}" for k in RECALL_AT},
    "lp_acc1": "linear_probe_top1",
    "lp_acc5": "linear_probe_top5",
    "lp_mean_per_class_recall": "linear_probe_mean_per_class",
}


def evaluate_request(subject: Subject, request: Request, root: str, *, batch: int) -> dict[str, float]:
    """One task on one data set.

    Args:
        subject: the model.
        request: the data set and the task.
        root: folder or URL of the data sets (see `datasets.locate`).
        batch: pictures embedded at a time.

    Returns:
        Fractions in [0, 1]: `zero_shot_top1`, `_top5`, `_mean_per_class`, or `zero_shot_map` where a picture may
        have several classes; `image_to_text_r1`, `_r5`, `_r10` and `text_to_image_...`; or `linear_probe_top1`,
        `_top5`, `_mean_per_class`. What clip_benchmark leaves undefined (five of four classes) is left out.

    Raises:
        Exception: a UserError of ours, or whatever clip_benchmark raises.
    """
    place = locate(request, root)
    task = task_of(request, place)
    with mended_accuracy():
        found = _TASKS[task](subject, request, place, batch)
    return {OURS[name]: float(found[name]) for name in OURS if math.isfinite(found.get(name, math.nan))}


def _classification(subject: Subject, request: Request, place: str, batch: int) -> dict[str, float]:
    from clip_benchmark.metrics import zeroshot_classification

    test = open_split(request, place, Task.CLASSIFICATION, TEST, subject.transform)
    return zeroshot_classification.evaluate(
        subject.model,
        batches(test, request, place, TEST, batch),
        subject.tokenizer,
        test.classes,
        test.templates,
        device=subject.device,
        amp=False,
    )


def _retrieval(subject: Subject, request: Request, place: str, batch: int) -> dict[str, float]:
    from clip_benchmark.metrics import zeroshot_retrieval

    test = open_split(request, place, Task.RETRIEVAL, TEST, subject.transform)
    return zeroshot_retrieval.evaluate(
        subject.model,
        batches(test, request, place, TEST, batch),
        subject.tokenizer,
        device=subject.device,
        amp=False,
        recall_k_list=list(RECALL_AT),
    )


def _linear_probe(subject: Subject, request: Request, place: str, batch: int) -> dict[str, float]:
    from clip_benchmark.metrics import linear_probe

    if subject.device != "cuda":
        raise UserError(
            "clip_benchmark's linear probe runs on a GPU only",
            where=str(request),
            mend="give --device cuda where there is one",
        )
    splits = {TEST: TEST, "train": training_split(request)}
    loaders = {
        name: batches(
            open_split(request, place, Task.PROBE, split, subject.transform), request, place, split, batch
        )
        for name, split in splits.items()
    }
    # It keeps features by the model's name and takes them again without a look at the model: a folder of its own.
    with tempfile.TemporaryDirectory(prefix="compt-probe-") as features:
        found = linear_probe.evaluate(
            subject.model,
            loaders["train"],
            loaders[TEST],
            ALL_SHOTS,
            batch,
            0,
            PROBE_LR,
            PROBE_EPOCHS,
            "model",
            PROBE_SEED,
            features,
            device=subject.device,
            amp=False,
        )
    return {name: value for name, value in found.items() if name in OURS}


_TASKS: dict[Task, Callable[[Subject, Request, str, int], dict[str, float]]] = {
    Task.CLASSIFICATION: _classification,
    Task.RETRIEVAL: _retrieval,
    Task.PROBE: _linear_probe,
}
