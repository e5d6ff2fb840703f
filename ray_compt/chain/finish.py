"""What happens when a stage has taken its last step: its model is exported and evaluated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray

from ray_compt.config.schema import Chain
from ray_compt.data import Index, Preprocess
from ray_compt.errors import TrainingError
from ray_compt.models import save_model
from ray_compt.models.checksums import write_checksums
from ray_compt.models.store import CONFIG_FILE, WEIGHTS_FILE
from ray_compt.storage import open_place
from ray_compt.train.checkpoint import read_weights
from ray_compt.train.job import StageJob
from ray_compt.train.metrics import record_evaluation
from ray_compt.train.stage import Trained
from ray_compt.train.student import LARGEST_LOGIT_SCALE, exported


@dataclass(frozen=True)
class EvaluationJob:
    """A finished model and the split to evaluate it on."""

    folder: str
    index: Index
    preprocess: Preprocess
    templates: tuple[str, ...]
    batch: int
    timeout_s: float


def export(job: StageJob, trained: Trained, lineage: list[str]) -> None:
    """Write the stage's folder such that plain open_clip loads it; the map to a teacher's space is left out."""
    weights = exported(read_weights(trained.checkpoint))
    # Masters in bf16 training may lie a rounding above the bound that the forward applied.
    weights["logit_scale"] = weights["logit_scale"].clamp(max=LARGEST_LOGIT_SCALE)
    save_model(
        job.path,
        weights,
        job.model,
        mean=job.preprocess.mean,
        std=job.preprocess.std,
        metadata={"chain": " -> ".join([*lineage, job.name]), "steps": str(trained.progress.step)},
    )
    # Last: where these stand, the model is whole.
    write_checksums(job.path, (WEIGHTS_FILE, CONFIG_FILE))
    (job.path / "initial").remove()


def evaluation_job(chain: Chain, job: StageJob, index: Index) -> EvaluationJob:
    return EvaluationJob(
        job.folder,
        index,
        job.preprocess,
        tuple(chain.data.class_templates),
        chain.evaluate.batch,
        chain.evaluate.timeout_s,
    )


def evaluate(job: EvaluationJob, *, gpus: float, step: int) -> dict[str, float]:
    """Evaluate an exported model in a Ray task, and record the result beside its training metrics.

    Raises:
        TrainingError: it took longer than `evaluate.timeout_s`.
    """
    metrics = evaluation_result(_evaluate, job, gpus=gpus)
    record_evaluation(open_place(job.folder), step, metrics)
    return metrics


def evaluation_result(
    function: Callable[..., dict[str, float]], job: EvaluationJob, *arguments: Any, gpus: float
) -> dict[str, float]:
    """What `function(job, *arguments)` returns in a Ray task with a CPU and at most one GPU.

    Raises:
        TrainingError: it took longer than `evaluate.timeout_s`.
    """
    task = ray.remote(function).options(num_cpus=1, num_gpus=min(gpus, 1), max_retries=3)
    reference = task.remote(job, *arguments)
    try:
        return ray.get(reference, timeout=job.timeout_s)
    except ray.exceptions.GetTimeoutError as error:
        ray.cancel(reference, force=True)
        raise TrainingError(
            f"evaluation has not ended after {job.timeout_s:g} s",
            where=job.folder,
            mend="raise evaluate.timeout_s; the same command goes on with the evaluation",
        ) from error


def _evaluate(job: EvaluationJob) -> dict[str, float]:
    from ray_compt.models import load_config, load_state

    return evaluate_weights(job, load_config(job.folder), load_state(job.folder))


def evaluate_weights(
    job: EvaluationJob, config: dict[str, Any], state: Mapping[str, Any]
) -> dict[str, float]:
    """Evaluate a model of this configuration and these tensors in this process, on a GPU if it has one."""
    import torch

    from ray_compt.evaluate import evaluate_model
    from ray_compt.models import build_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_model(config)
    model.load_state_dict(state)
    return evaluate_model(
        model.to(device),
        config,
        job.index,
        job.preprocess,
        templates=job.templates,
        batch=job.batch,
        device=device,
    )
