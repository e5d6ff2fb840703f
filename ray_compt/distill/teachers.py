"""Who teaches a stage: earlier stages of its chain, or open_clip models from outside it. No weights, no Ray."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ray_compt.config.distill_keys import TeacherChoice
from ray_compt.config.schema import StageConfig
from ray_compt.errors import UserError, placed
from ray_compt.models import Macs, check_teacher, count_macs, load_config, load_preprocess
from ray_compt.models.store import CONFIG_FILE
from ray_compt.storage import open_place


@dataclass(frozen=True)
class ChosenTeacher:
    """One teacher of a stage.

    Attributes:
        name: the stage's name, or the model's folder.
        stage: place of the earlier stage in the chain, from 0; None: a model from outside.
        model: open_clip's configuration.
        share: of the distillation weight; a stage's teachers have 1 together.
        mean, std: the picture normalisation that its folder asks for; None: the chain's.
    """

    name: str
    stage: int | None
    model: dict[str, Any]
    share: float
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def macs(self) -> Macs:
        """MACs of one forward of each tower."""
        return count_macs(self.model)


def choose_teachers(
    stages: Sequence[StageConfig], number: int, models: Sequence[dict[str, Any]]
) -> tuple[ChosenTeacher, ...]:
    """The teachers of stage `number`, none where its distillation weight is 0.

    Args:
        stages: of the chain.
        number: the stage's place, from 0.
        models: open_clip's configurations of the stages up to this one, at least.

    Raises:
        UserError: a folder without a model, or a model that reads other pictures or tokens than the stage.
    """
    distill = stages[number].transfer.distill
    if distill.weight == 0:
        return ()
    if distill.teachers is None:
        before = number - 1
        return (ChosenTeacher(stages[before].name, before, models[before], 1.0),) if number else ()
    with placed(f"stage {stages[number].name}"):
        chosen = [choose_teacher(choice, stages, number, models) for choice in distill.teachers]
    total = sum(teacher.share for teacher in chosen)
    return tuple(replace(teacher, share=teacher.share / total) for teacher in chosen)


def choose_teacher(
    choice: TeacherChoice, stages: Sequence[StageConfig], number: int, models: Sequence[dict[str, Any]]
) -> ChosenTeacher:
    """As `choose_teachers`, for one entry of the list; its share is the weight as written.

    Raises:
        UserError: as there, with a place only where a file of the teacher's is wrong.
    """
    names = [stage.name for stage in stages[:number]]
    if choice.model in names:
        place = names.index(choice.model)
        return ChosenTeacher(choice.model, place, models[place], choice.weight)
    if not open_place(choice.model).is_folder():
        earlier = f"the earlier stages are {', '.join(names)}" if names else "there is no earlier stage"
        raise UserError(
            f"{choice.model} is neither an earlier stage nor the folder of a model",
            mend=f"{earlier}; a folder holds {CONFIG_FILE} and safetensors weights",
        )
    model, preprocess = load_config(choice.model), load_preprocess(choice.model)
    check_teacher(model, choice.model, models[number], stages[number].name)
    mean, std = (tuple(preprocess[key]) if key in preprocess else None for key in ("mean", "std"))
    return ChosenTeacher(choice.model, None, model, choice.weight, mean, std)


def passes_taught(stages: Sequence[StageConfig], teachers: Sequence[ChosenTeacher]) -> float:
    """Passes over the data behind the teachers: of their stages and all before these, infinite from outside.

    What a model from outside has seen is not known; we take it, and what has grown from it, for well trained.
    """
    if teachers and stages[0].transfer.init is not None:
        return math.inf
    behind = [
        math.inf if teacher.stage is None else sum(stage.epochs for stage in stages[: teacher.stage + 1])
        for teacher in teachers
    ]
    return max(behind, default=0.0)
