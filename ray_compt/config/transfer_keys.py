"""The chain file's keys of what a stage takes from its predecessor, `transfer`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ray_compt.config.distill_keys import DistillConfig
from ray_compt.config.section import Section, broken_rule

GrowthChoice = Literal["auto", "lossless", "clone", "lemon", "embed", "official_slice", "random"]


# open_clip's own way to name a model in a folder.
LOCAL_DIR = "local-dir:"


class TransferConfig(Section):
    """What a stage takes from its predecessor; the first stage has none: there init, and distill.teachers, act."""

    init: str | None = Field(
        None,
        description="First stage only: an open_clip model that takes the predecessor's place in parameter space, "
        "`local-dir:FOLDER` with open_clip_config.json and safetensors weights, or its URL; null: random weights.",
    )
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

    @field_validator("init")
    @classmethod
    def _names_a_folder(cls, value: str | None) -> str | None:
        if value is not None and not value.removeprefix(LOCAL_DIR).strip():
            raise broken_rule("names no folder", "write local-dir:FOLDER, a URL, or null")
        return value

    @property
    def init_folder(self) -> str | None:
        """The path or URL of `init`."""
        return None if self.init is None else self.init.removeprefix(LOCAL_DIR)

    @model_validator(mode="after")
    def _something_to_begin_with(self) -> TransferConfig:
        if self.init is not None and self.growth == "random":
            raise broken_rule(
                "random weights take nothing from init", "write another growth, or leave init out", "init"
            )
        return self

    @model_validator(mode="after")
    def _something_to_carry(self) -> TransferConfig:
        if self.optimizer == "carry" and self.growth == "random":
            raise broken_rule(
                "random weights have no moments to carry",
                "write optimizer: fresh, or another growth",
                "optimizer",
            )
        return self
