"""How many optimizer steps a stage takes. Shared by the plan and by training, so that they cannot differ."""

from __future__ import annotations

from ray_compt.errors import UserError


def batches_per_epoch(samples: int, global_batch: int) -> int:
    """Whole global batches in one pass over the data; the rest of an epoch is dropped.

    Raises:
        UserError: there are fewer samples than one global batch.
    """
    if samples < global_batch:
        raise UserError(
            f"{samples} training samples do not fill one global batch of {global_batch}",
            where="train.global_batch",
            mend=f"set train.global_batch to {samples} or less, or give more shards",
        )
    return samples // global_batch


def stage_steps(epochs: float, samples: int, global_batch: int) -> int:
    """Optimizer steps of a stage of `epochs` passes, at least 1; parts of a pass are rounded to whole steps.

    Raises:
        UserError: as `batches_per_epoch`.
    """
    return max(1, round(epochs * batches_per_epoch(samples, global_batch)))
