"""The chain file's keys of what a stage takes from its predecessor, `transfer`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from ray_compt.config.distill_keys import DistillConfig
from ray_compt.config.section import Section, broken_rule

GrowthChoice = Literal["auto", "lossless", "clone", "lemon", "embed", "official_slice", "random"]


class TransferConfig(Section):
    """What a stage takes from its predecessor; the first stage has none, and only distill.teachers acts there."""

    growth: GrowthChoice = Field(
        "auto",
        description="Parameter space, how weights are grown; auto: lossless where possible, else feature "
        "space alone.",
    )
    noise: float | None = Field(
        None,
        ge=0,
        description="Size of the symmetry-breaking noise, in std of the weight; null: the operator's own.",
    )
    optimizer: Literal["fresh", "carry"] = Field(
        "fresh",
        description="AdamW at the start of a grown stage: fresh, or carry, with the predecessor's moments and step "
        "count, grown like gradients (docs/growth.md).",
    )
    distill: DistillConfig = Field(DistillConfig(), description="Feature space, how the teacher is followed.")

    @model_validator(mode="after")
    def _something_to_carry(self) -> TransferConfig:
        if self.optimizer == "carry" and self.growth == "random":
            raise broken_rule(
                "random weights have no moments to carry",
                "write optimizer: fresh, or another growth",
                "optimizer",
            )
        return self
