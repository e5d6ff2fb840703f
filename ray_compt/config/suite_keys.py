"""The suite file's keys: what is measured on a model, on which data.

To add a setting of a task, add a field with a description here, name the kinds that read it in `_READ_BY`, and read
it in `ray_compt/evaluate/`; messages and the table in docs/evaluation.md follow. Nothing here reads files.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from ray_compt.config.schema import LARGEST_SEED, LONGEST_NAME, NAME_PATTERN
from ray_compt.config.section import Section, broken_rule, require_gaps

Kind = Literal["zero_shot", "retrieval", "linear_probe", "knn", "few_shot"]
Corruption = Literal["gaussian_noise", "blur", "brightness", "jpeg"]
CORRUPTIONS: tuple[Corruption, ...] = ("gaussian_noise", "blur", "brightness", "jpeg")

# Kinds that learn from labelled pictures.
PROBES: tuple[Kind, ...] = ("linear_probe", "knn", "few_shot")
# The kinds that read a key; a key that is not here is read by all.
_READ_BY: dict[str, tuple[Kind, ...]] = {
    "train": PROBES,
    "train_samples": PROBES,
    "classes": ("zero_shot",),
    "templates": ("zero_shot",),
    "captions": ("retrieval",),
    "k": ("knn",),
    "shots": ("few_shot",),
    "draws": ("few_shot",),
    "l2": ("few_shot",),
}
# A list of names, a mapping from the data's classes to names, or where to find either.
ClassNames = str | list[str] | dict[str, str]


class TaskConfig(Section):
    """One measurement: a kind of task on one data set."""

    name: str = Field(
        pattern=NAME_PATTERN, max_length=LONGEST_NAME, description="Of the task in results; each its own."
    )
    kind: Kind = Field(description="What is measured; see the protocols above.")
    data: str | list[str] = Field(
        description="Pictures to measure on: shards as in `data.val`, `builtin:digits/val`, `folder:PATH` (a folder a "
        "class) or `torchvision:NAME/SPLIT?root=PATH`."
    )
    train: str | list[str] | None = Field(
        None, description="Labelled pictures that a probe learns from, written like data."
    )
    train_samples: int | None = Field(
        None, ge=1, description="Most pictures of train, spread evenly over it; null: all."
    )
    class_field: str | None = Field(None, description="JSON field of a picture's class, in shards.")
    caption_field: str = Field("captions", description="JSON field of a picture's captions, in shards.")
    classes: ClassNames | None = Field(
        None,
        description="Names of the classes in prompts: `imagenet`, a list, a mapping from the data's classes to "
        "names, or a file of either; null: as the data calls them.",
    )
    templates: str | list[str] = Field(
        ["a photo of a {}."],
        description="Prompts with {} for the class: `imagenet` (OpenAI's 80), a list, or a file.",
    )
    captions: int | None = Field(
        1, ge=1, description="Captions a picture that take part, the first ones; null: all."
    )
    k: int = Field(20, ge=1, description="Neighbours that vote.")
    shots: list[int] = Field([1, 2, 4, 8, 16], min_length=1, description="Training pictures of a class.")
    draws: int = Field(5, ge=2, le=1000, description="Draws of the training pictures, each with its seed.")
    l2: float = Field(
        1e-2, gt=0, description="Regularisation of the few-shot classifier (see linear_probe's loss)."
    )
    corruptions: list[Corruption] = Field(
        [], description=f"Measure again on pictures with each of these: {', '.join(CORRUPTIONS)}."
    )
    severity: int = Field(3, ge=1, le=5, description="Of the corruptions.")

    @field_validator("data", "train")
    @classmethod
    def _names_data(cls, value: str | list[str] | None) -> str | list[str] | None:
        if value is not None and not all([value] if isinstance(value, str) else value or [""]):
            raise broken_rule("names no data", "write a path, a pattern, folder:PATH or torchvision:NAME")
        return value

    @field_validator("classes")
    @classmethod
    def _has_classes(cls, value: ClassNames | None) -> ClassNames | None:
        if value is not None:
            check_class_names(value)
        return value

    @field_validator("templates")
    @classmethod
    def _have_a_gap(cls, value: str | list[str]) -> str | list[str]:
        if not isinstance(value, str):
            check_templates(value)
        return value

    @field_validator("shots")
    @classmethod
    def _are_counts(cls, value: list[int]) -> list[int]:
        if any(count < 1 for count in value) or len(set(value)) < len(value):
            raise broken_rule(f"{value} are no numbers of pictures", "write each from 1 on, once")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> TaskConfig:
        for key in self.model_fields_set & _READ_BY.keys():
            if self.kind not in _READ_BY[key]:
                kinds = " or ".join(_READ_BY[key])
                raise broken_rule(
                    f"a {self.kind} task does not read it", f"remove it, or write kind: {kinds}", key
                )
        if self.kind in PROBES and self.train is None:
            raise broken_rule(
                f"{self.kind} needs labelled pictures to learn from", "add train: SHARDS", "train"
            )
        return self


class SuiteConfig(Section):
    """A suite file: what is measured on every model."""

    name: str = Field(pattern=NAME_PATTERN, max_length=LONGEST_NAME, description="Of the suite in results.")
    seed: int = Field(
        0,
        ge=0,
        le=LARGEST_SEED,
        description="Source of all randomness: held-out parts, draws, noise, intervals.",
    )
    tasks: list[TaskConfig] = Field(min_length=1, description="What is measured.")

    @model_validator(mode="after")
    def _own_names(self) -> SuiteConfig:
        names = [task.name for task in self.tasks]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise broken_rule(
                    f"another task is called {name} too",
                    "give every task its own name",
                    *("tasks", number, "name"),
                )
        return self


def check_class_names(value: ClassNames) -> None:
    """Raises a broken rule where names are given in place, and are none."""
    names = [value] if isinstance(value, str) else list(value.values() if isinstance(value, dict) else value)
    if not names or not all(name.strip() for name in names):
        raise broken_rule("names no classes", "write a name for each class, or imagenet")
    if not isinstance(value, str) and len(names) < 2:
        raise broken_rule(f"one class ('{names[0]}') decides nothing", "name two classes or more")


def check_templates(value: list[str]) -> None:
    """Raises a broken rule where there are no prompts, or one has no place for the class."""
    if not value:
        raise broken_rule("no prompts", 'write one like "a photo of a {}."')
    require_gaps(value)
