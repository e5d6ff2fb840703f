"""The chain file's keys of feature space, `transfer.distill`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ray_compt.config.section import Section, broken_rule


class TeacherChoice(Section):
    """One of a stage's teachers."""

    model: str = Field(
        min_length=1,
        description="Name of an earlier stage, or an open_clip model's folder (open_clip_config.json and its "
        "safetensors weights), path or URL, that every node can read.",
    )
    weight: float = Field(
        1.0, gt=0, description="Its weight relative to the others': only the ratios count, not the sum."
    )


class DistillConfig(Section):
    """Feature space: L = L_task + weight(t) L_distill (docs/distillation.md)."""

    kind: Literal["embedding", "relational", "contrastive"] = Field(
        "embedding",
        description="What is held near the teacher's: each embedding (the paper's loss), the similarities within "
        "the global batch (affinity mimicking), or matching against the teacher's other tower (interactive "
        "contrastive learning).",
    )
    towers: Literal["both", "image", "text"] = Field(
        "both",
        description="Towers whose terms of the loss count; with relational, whose rows of similarities.",
    )
    teachers: list[TeacherChoice] | None = Field(
        None, min_length=1, description="Who teaches; null: the predecessor alone, the first stage nobody."
    )
    weight: float | Literal["auto"] = Field(
        "auto",
        description="Scale-free weight of the distillation loss; the paper's alpha 500 at width 512 is 1.95; "
        "0: no teacher; auto: by how long the teachers trained.",
    )
    stop_at: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Fraction of the stage after which the weight is 0; null: as weight asks.",
    )
    decay: Literal["none", "linear", "cosine"] | None = Field(
        None, description="How the weight falls from the start to stop_at; null: as weight asks."
    )

    @field_validator("weight")
    @classmethod
    def _not_negative(cls, value: float | str) -> float | str:
        if isinstance(value, float) and value < 0:
            raise broken_rule(f"{value:g} is negative", "write 0 or more")
        return value
