"""How strongly a stage is held to its teachers: the distillation weight over time. Pure, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ray_compt.config.distill_keys import DistillConfig

# The paper's alpha = 500 on element-mean squared error of unit vectors of width 512: 2 * 500 / 512.
PAPER_WEIGHT = 1000 / 512
# `auto` behind teachers that trained long. CLIP-KD weighs its relational and its contrastive loss by 1.
FULL_WEIGHTS = {"embedding": PAPER_WEIGHT, "relational": 1.0, "contrastive": 1.0}
SATURATED_PASSES = 2.0


@dataclass(frozen=True)
class DistillPlan:
    """The distillation weight of one stage.

    Attributes:
        weight: scale-free weight at the start, 0 where no teacher is needed.
        stop_at: fraction of the stage, in (0, 1], from which the weight is 0.
        decay: shape of the way from `weight` at 0 to 0 at `stop_at` ("none" keeps it constant).
        reason: one clause that says where the numbers come from, for the terminal.
        kind: the loss: "embedding", "relational" or "contrastive" (`distill/loss.py`).
        towers: whose terms of it count: "both", "image" or "text".
    """

    weight: float
    stop_at: float
    decay: str
    reason: str
    kind: str = "embedding"
    towers: str = "both"

    @property
    def active(self) -> bool:
        return self.weight > 0

    def last_step(self, steps: int) -> int:
        """Number of leading steps, of `steps`, that need teacher features."""
        return math.ceil(self.stop_at * steps) if self.active else 0

    def at(self, step: int, steps: int) -> float:
        """Weight at optimizer step `step` (from 0) of a stage of `steps` steps."""
        if step >= self.last_step(steps):
            return 0.0
        progress = step / (self.stop_at * steps)
        factor = {
            "none": 1.0,
            "linear": 1.0 - progress,
            "cosine": 0.5 * (1.0 + math.cos(math.pi * progress)),
        }[self.decay]
        return self.weight * factor


NO_TEACHER = DistillPlan(0.0, 1.0, "none", "no teacher")


def resolve_distill(config: DistillConfig, stage_epochs: float, lineage_epochs: float) -> DistillPlan:
    """Fill in what the chain file leaves to us.

    A teacher whose lineage saw the data more than twice as often as this stage will is close to
    saturated, where distillation gains accuracy whatever the growth operator; otherwise a weak weight that
    fades out by half of the stage costs nothing and gains little.

    Args:
        config: the stage's `transfer.distill`.
        stage_epochs: passes over the data in this stage.
        lineage_epochs: passes over the data behind its teachers (`passes_taught`); 0: it has none.
    """
    if lineage_epochs == 0:
        return NO_TEACHER
    weight, stop_at, decay, reason = _weight(config, stage_epochs, lineage_epochs)
    return DistillPlan(
        weight, config.stop_at or stop_at, config.decay or decay, reason, config.kind, config.towers
    )


def _weight(
    config: DistillConfig, stage_epochs: float, lineage_epochs: float
) -> tuple[float, float, str, str]:
    """Weight, the defaults of stop_at and decay, and the reason."""
    if config.weight != "auto":
        return float(config.weight), 1.0, "none", "as the chain file says"
    if math.isinf(lineage_epochs):
        return FULL_WEIGHTS[config.kind], 1.0, "none", "a model from outside counts as trained long"
    epochs = f"{lineage_epochs:g} epochs before {stage_epochs:g}"
    if lineage_epochs > SATURATED_PASSES * stage_epochs:
        return FULL_WEIGHTS[config.kind], 1.0, "none", f"predecessors trained long: {epochs}"
    return 0.5, 0.5, "linear", f"predecessors trained short: {epochs}"
