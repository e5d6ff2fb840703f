"""The cost of a chain in multiply-accumulates (MACs), against training every model alone (docs/cost.md).

Training on one sample costs three forwards of the student (the backward pass counts as two) with one picture
and K captions each, and one forward of each teacher in the steps that distil. Not counted: the loss, the
optimizer, evaluation, and forwards repeated by activation checkpointing or gradient caching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ray_compt.config.schema import Chain
from ray_compt.distill.settings import resolve_distill
from ray_compt.distill.teachers import choose_teachers, passes_taught
from ray_compt.models import Macs, check_ascending, count_macs, count_parameters, model_config, model_name
from ray_compt.plan.steps import stage_steps

FORWARDS_PER_TRAINED_SAMPLE = 3


@dataclass(frozen=True)
class TrainingMacs:
    """MACs spent on training.

    Attributes:
        student: forward and backward passes of the trained model.
        teacher: forward passes of its frozen teachers.
    """

    student: int
    teacher: int

    @property
    def total(self) -> int:
        return self.student + self.teacher


@dataclass(frozen=True)
class StageCost:
    """One stage of the plan.

    Attributes:
        name: the stage's name.
        model: the model's name.
        parameters: parameters of the model.
        image_macs: one forward of the image tower on one picture.
        text_macs: one forward of the text tower on one caption.
        epochs: passes over the data.
        steps: optimizer steps.
        samples: samples trained on, all epochs together.
        teacher_steps: leading steps that need the teacher's features.
        student_macs: training MACs of the model itself.
        teacher_macs: MACs of all its teachers' forwards.
        macs: both.
        share: `macs` as a fraction of the chain's.
        individual_epochs: passes over the data of the same model trained alone.
        individual_macs: its cost.
    """

    name: str
    model: str
    parameters: int
    image_macs: int
    text_macs: int
    epochs: float
    steps: int
    samples: int
    teacher_steps: int
    student_macs: int
    teacher_macs: int
    macs: int
    share: float
    individual_epochs: float
    individual_macs: int


@dataclass(frozen=True)
class ChainCost:
    """The plan of a chain.

    Attributes:
        name: the chain's name.
        samples: samples of the training data.
        captions_per_image: captions trained with each picture (K).
        stages: in order, so ascending in size.
        chain_macs: cost of the whole chain.
        individual_macs: cost of all its models trained alone.
        largest_share: cost of the whole chain over that of the largest model trained alone.
        acceleration: `individual_macs / chain_macs`.
    """

    name: str
    samples: int
    captions_per_image: int
    stages: tuple[StageCost, ...]
    chain_macs: int
    individual_macs: int
    largest_share: float
    acceleration: float

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers."""
        return asdict(self) | {"stages": [asdict(stage) for stage in self.stages]}


def training_macs(
    student: Macs,
    *,
    captions: int,
    global_batch: int,
    steps: int,
    teachers: Sequence[Macs] = (),
    teacher_steps: int = 0,
) -> TrainingMacs:
    """MACs of `steps` optimizer steps, the teachers being asked in `teacher_steps` of them.

    Args:
        student: forward cost of the trained model.
        captions: captions a picture (K).
        global_batch: samples a step, over all workers.
        steps: optimizer steps.
        teachers: forward cost of each frozen teacher.
        teacher_steps: steps in which their features are used.
    """
    trained = FORWARDS_PER_TRAINED_SAMPLE * steps * global_batch * student.forward(captions)
    taught = teacher_steps * global_batch * sum(teacher.forward(captions) for teacher in teachers)
    return TrainingMacs(trained, taught)


def plan_chain(chain: Chain, samples: int) -> ChainCost:
    """The cost of a chain over training data of `samples` samples.

    Raises:
        UserError: a model or a teacher that does not exist, sizes that do not ascend, fewer samples than a
            global batch.
    """
    configs = [model_config(stage.model, chain.data.image_size) for stage in chain.stages]
    check_ascending(configs, [model_name(stage.model) for stage in chain.stages])
    stages = [_stage_cost(chain, i, configs, samples) for i in range(len(configs))]
    total = sum(stage.macs for stage in stages)
    individual = sum(stage.individual_macs for stage in stages)
    return ChainCost(
        name=chain.name,
        samples=samples,
        captions_per_image=chain.data.captions_per_image,
        stages=tuple(replace(stage, share=stage.macs / total) for stage in stages),
        chain_macs=total,
        individual_macs=individual,
        largest_share=total / stages[-1].individual_macs,
        acceleration=individual / total,
    )


def individual_epochs(chain: Chain) -> float:
    """Passes over the data of every individual model: the chain file's, else those of the first stage."""
    return chain.individual.epochs or chain.stages[0].epochs


def individual_macs(chain: Chain, model: Macs, global_batch: int, samples: int) -> int:
    """Training MACs of a model of the family alone, over training data of `samples` samples.

    Args:
        model: its forward cost.
        global_batch: samples a step.
    """
    steps = stage_steps(individual_epochs(chain), samples, global_batch)
    captions = chain.data.captions_per_image
    return training_macs(model, captions=captions, global_batch=global_batch, steps=steps).total


def _stage_cost(chain: Chain, index: int, configs: list[dict[str, Any]], samples: int) -> StageCost:
    """One stage's cost; its share is not known before all stages are."""
    stage = chain.stages[index]
    captions, global_batch = chain.data.captions_per_image, stage.train.global_batch
    steps = stage_steps(stage.epochs, samples, global_batch)
    macs, teachers = count_macs(configs[index]), choose_teachers(chain.stages, index, configs)
    distill = resolve_distill(stage.transfer.distill, stage.epochs, passes_taught(chain.stages, teachers))
    teacher_steps = distill.last_step(steps)
    cost = training_macs(
        macs,
        captions=captions,
        global_batch=global_batch,
        steps=steps,
        teachers=[teacher.macs for teacher in teachers],
        teacher_steps=teacher_steps,
    )
    return StageCost(
        name=stage.name,
        model=model_name(stage.model),
        parameters=count_parameters(configs[index]),
        image_macs=macs.image,
        text_macs=macs.text,
        epochs=stage.epochs,
        steps=steps,
        samples=steps * global_batch,
        teacher_steps=teacher_steps,
        student_macs=cost.student,
        teacher_macs=cost.teacher,
        macs=cost.total,
        share=0.0,
        individual_epochs=individual_epochs(chain),
        individual_macs=individual_macs(chain, macs, global_batch, samples),
    )
