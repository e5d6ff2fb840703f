"""The keys of `data.augment`."""

from __future__ import annotations

from pydantic import Field, field_validator

from ray_compt.config.section import Section, broken_rule


class AugmentConfig(Section):
    """Training augmentation, drawn anew for every (seed, epoch, sample key)."""

    # strict=False: YAML has lists, no tuples.
    scale: tuple[float, float] = Field(
        (0.9, 1.0),
        strict=False,
        description="Share of the picture's area that the random crop keeps: [least, most].",
    )
    ratio: tuple[float, float] = Field(
        (0.75, 4 / 3), strict=False, description="Width over height of the random crop: [least, most]."
    )
    color_jitter: tuple[float, float, float, float] | None = Field(
        None,
        strict=False,
        description="Largest change of [brightness, contrast, saturation, hue]; null: no change.",
    )
    color_jitter_prob: float = Field(0.8, ge=0, le=1, description="Share of pictures whose colours change.")
    gray_scale_prob: float = Field(0.0, ge=0, le=1, description="Share of pictures turned grey.")

    @field_validator("scale", "ratio")
    @classmethod
    def _ascending(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise broken_rule(
                f"[{value[0]:g}, {value[1]:g}] is no range", "write [least, most], both above 0"
            )
        return value

    @field_validator("scale")
    @classmethod
    def _within_the_picture(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[1] > 1:
            raise broken_rule(f"a crop cannot keep {value[1]:g} times the area", "write at most 1")
        return value

    @field_validator("color_jitter")
    @classmethod
    def _not_negative(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and min(value) < 0:
            raise broken_rule("a change cannot be negative", "write four numbers, each 0 or more")
        if value is not None and value[3] > 0.5:
            raise broken_rule(f"hue cannot change by {value[3]:g}", "write 0 to 0.5 as the fourth number")
        return value
