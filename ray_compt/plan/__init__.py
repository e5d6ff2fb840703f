"""What a chain costs before it runs: steps, samples and multiply-accumulates, all of it arithmetic.

What to change here: the cost model (cost.py), the table (table.py). Must not import Ray, torch, training or
data; models are measured through ray_compt.models.
"""

from __future__ import annotations

from ray_compt.plan.cost import (
    ChainCost,
    StageCost,
    TrainingMacs,
    individual_epochs,
    individual_macs,
    plan_chain,
    training_macs,
)
from ray_compt.plan.finetuning import FinetuningMacs, finetuning_macs
from ray_compt.plan.steps import batches_per_epoch, stage_steps
from ray_compt.plan.table import HEADER, format_count, rows, summary

__all__ = [
    "HEADER",
    "ChainCost",
    "FinetuningMacs",
    "StageCost",
    "TrainingMacs",
    "batches_per_epoch",
    "finetuning_macs",
    "format_count",
    "individual_epochs",
    "individual_macs",
    "plan_chain",
    "rows",
    "stage_steps",
    "summary",
    "training_macs",
]
