"""What happens when a stage has taken its last step: its model is exported and evaluated."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import ray

from ray_compt.config.schema import Chain
from ray_compt.data import Preprocess
from ray_compt.errors import TrainingError
from ray_compt.evaluate.result import EVALUATION_FILE, TaskResult, document, model_checksum, scalars
from ray_compt.evaluate.suites import Suite
from ray_compt.models import save_model
from ray_compt.models.checksums import write_checksums
from ray_compt.models.store import CONFIG_FILE, WEIGHTS_FILE
from ray_compt.storage import open_place
from ray_compt.train.checkpoint import read_weights
from ray_compt.train.disk import explained
from ray_compt.train.job import StageJob
from ray_compt.train.metrics import record_evaluation
from ray_compt.train.stage import Trained
from ray_compt.train.student import LARGEST_LOGIT_SCALE, exported

T = TypeVar("T")


@dataclass(frozen=True)
class EvaluationJob:
    """A finished model, and what it is measured by."""

    folder: str
    suite: Suite
    preprocess: Preprocess
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


def evaluation_job(chain: Chain, job: StageJob, suite: Suite) -> EvaluationJob:
    return EvaluationJob(job.folder, suite, job.preprocess, chain.evaluate.batch, chain.evaluate.timeout_s)


def evaluate(job: EvaluationJob, *, gpus: float, step: int) -> dict[str, float]:
    """Measure an exported model in a Ray task, write `evaluation.json`, and record the scalars with its metrics.

    Raises:
        TrainingError: it took longer than `evaluate.timeout_s`.
    """
    results = evaluation_results(_evaluate, job, gpus=gpus)
    place = open_place(job.folder)
    model = {"checksum": model_checksum(job.folder), "step": step}
    found = document(job.suite.name, job.suite.seed, model, results)
    with explained(str(place / EVALUATION_FILE)):
        (place / EVALUATION_FILE).write_text(json.dumps(found, indent=1) + "\n")
    metrics = scalars(results)
    if metrics:
        record_evaluation(place, step, metrics)
    return metrics


def evaluation_results(
    function: Callable[..., list[TaskResult]], job: EvaluationJob, *arguments: Any, gpus: float
) -> list[TaskResult]:
    """What `function(job, *arguments)` returns in a Ray task; [] without tasks.

    Raises:
        TrainingError: it took longer than `evaluate.timeout_s`.
    """
    if not job.suite.tasks:
        return []
    return in_task(function, job, *arguments, gpus=gpus, timeout_s=job.timeout_s, where=job.folder)


def in_task(function: Callable[..., T], *arguments: Any, gpus: float, timeout_s: float, where: str) -> T:
    """What an evaluation returns in a Ray task with a CPU and at most one GPU.

    Args:
        function: the evaluation; called with `arguments`.
        gpus: of one worker.
        timeout_s: `evaluate.timeout_s`.
        where: the place that an error names.

    Raises:
        TrainingError: it took longer than `timeout_s`.
    """
    task = ray.remote(function).options(
        num_cpus=1,
        num_gpus=min(gpus, 1),
        max_retries=3,
        # Outside of the placement group of a sweep's trial, in which there is no room.
        scheduling_strategy="DEFAULT",
    )
    reference = task.remote(*arguments)
    try:
        return ray.get(reference, timeout=timeout_s)
    except ray.exceptions.GetTimeoutError as error:
        ray.cancel(reference, force=True)
        raise TrainingError(
            f"evaluation has not ended after {timeout_s:g} s",
            where=where,
            mend="raise evaluate.timeout_s; the same command goes on with the evaluation",
        ) from error


def _evaluate(job: EvaluationJob) -> list[TaskResult]:
    from ray_compt.models import load_config, load_state

    return evaluate_weights(job, load_config(job.folder), load_state(job.folder))


def evaluate_weights(
    job: EvaluationJob, config: dict[str, Any], state: Mapping[str, Any]
) -> list[TaskResult]:
    """Evaluate a model of this configuration and these tensors, on a GPU if this process has one.

    Where other nodes' GPUs or cores are free and worth starting, they embed.
    """
    import torch

    from ray_compt.evaluate import Embedder, Here, logit_scale, run_suite
    from ray_compt.evaluate.cluster import OnCluster, free_replicas
    from ray_compt.evaluate.embed import Embedding
    from ray_compt.models import build_model, make_tokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_model(config)
    model.load_state_dict(state)
    model.eval()
    scale, tokenizer = logit_scale(model), make_tokenizer(config)
    replicas = free_replicas(job.suite.pictures)
    embedding: Embedding
    if replicas.count > 1:
        embedding = OnCluster(model, job.preprocess, batch=job.batch, replicas=replicas)
    else:
        mean, std = job.preprocess.mean, job.preprocess.std
        embedder = Embedder(model.to(device), mean, std, batch=job.batch, device=device)
        embedding = Here(embedder, job.preprocess)
    return run_suite(job.suite, embedding, tokenizer, scale, device=device)
