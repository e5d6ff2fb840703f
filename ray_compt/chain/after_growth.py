"""What growth itself is worth: the evaluation of a stage's grown weights, before its first step.

A lossless operator should keep its predecessor's metrics, another one shows here what it costs. Every grown stage is
measured once; the result stands in the ledger as `grown_metrics`.
"""

from __future__ import annotations

from typing import Any

from ray_compt.chain.finish import EvaluationJob, evaluation_results
from ray_compt.chain.ledger import StageEntry
from ray_compt.config.schema import Chain
from ray_compt.evaluate.result import TaskResult, scalars
from ray_compt.train.job import StageJob


def is_due(chain: Chain, job: StageJob, entry: StageEntry) -> bool:
    """Whether a stage's grown weights are still to be evaluated; there must be a validation split."""
    return chain.evaluate.after_growth and job.initial is not None and not entry.grown_metrics


def evaluate_grown(task: EvaluationJob, job: StageJob, *, gpus: float) -> dict[str, float]:
    """Evaluate the weights that a stage begins with, in a Ray task; nothing is recorded.

    Args:
        task: what is measured, as for the finished model.
        job: the stage; its `initial` are the grown weights.
        gpus: of one worker.

    Raises:
        TrainingError: it took longer than `evaluate.timeout_s`.
    """
    assert job.initial is not None
    return scalars(evaluation_results(_evaluate_initial, task, job.model, job.initial, gpus=gpus))


def _evaluate_initial(task: EvaluationJob, config: dict[str, Any], weights: str) -> list[TaskResult]:
    from ray_compt.chain.finish import evaluate_weights
    from ray_compt.models.store import read_tensors

    return evaluate_weights(task, config, read_tensors(weights))
