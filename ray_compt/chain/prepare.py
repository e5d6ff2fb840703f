"""From a chain file to what each stage will do, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ray_compt.chain.outside import beginning
from ray_compt.config.distill_keys import DistillConfig
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.distill.settings import NO_TEACHER, DistillPlan, resolve_distill
from ray_compt.distill.teachers import ChosenTeacher, choose_teachers, passes_taught
from ray_compt.growth import CannotGrow, explain
from ray_compt.models import (
    Macs,
    check_ascending,
    check_exact,
    count_macs,
    count_parameters,
    load_config,
    model_config,
)
from ray_compt.plan.cost import individual_epochs
from ray_compt.plan.steps import stage_steps


@dataclass(frozen=True)
class StagePlan:
    """One stage, decided.

    Attributes:
        number: place in the chain, from 0.
        config: the stage's section of the chain file.
        model: open_clip's configuration.
        parameters, macs: of the model; MACs of one forward of each tower.
        growth: operator that makes the initial weights; None: random weights.
        growth_text: the same for the ledger and the terminal.
        notes: what growth has to say.
        distill: the distillation loss and its weight over time.
        teachers: who teaches, none where nothing is distilled.
        init: configuration of the model from outside that a first stage's weights are made from; None: there is none.
    """

    number: int
    config: StageConfig
    model: dict[str, Any]
    parameters: int
    macs: Macs
    growth: str | None
    growth_text: str
    notes: tuple[str, ...]
    distill: DistillPlan
    teachers: tuple[ChosenTeacher, ...] = ()
    init: dict[str, Any] | None = None

    @property
    def carries(self) -> bool:
        """Whether the optimizer begins with the predecessor's moments, grown; a model from outside brings none."""
        return self.growth is not None and self.init is None and self.config.transfer.optimizer == "carry"

    def steps(self, samples: int, limit: int | None) -> int:
        """Optimizer steps on `samples` training samples, at most `limit`."""
        steps = stage_steps(self.config.epochs, samples, self.config.train.global_batch)
        return steps if limit is None else min(steps, limit)


def prepare(chain: Chain) -> list[StagePlan]:
    """Decide every stage.

    Raises:
        UserError: an unknown model, one whose training cannot be exact, sizes that do not ascend, a stage that
            cannot be grown as asked, a model to begin with that is not there, or a teacher that is not there or reads
            other input.
    """
    models = [model_config(stage.model, chain.data.image_size) for stage in chain.stages]
    for stage, model in zip(chain.stages, models):
        check_exact(model, where=f"stage {stage.name}")
    check_ascending(models, [stage.name for stage in chain.stages])
    plans = []
    for number, (stage, model) in enumerate(zip(chain.stages, models)):
        init = load_config(stage.transfer.init_folder) if stage.transfer.init_folder else None
        operator, text, notes = _start(stage, init, models[number - 1] if number else None, model)
        teachers = choose_teachers(chain.stages, number, models)
        distill = resolve_distill(stage.transfer.distill, stage.epochs, passes_taught(chain.stages, teachers))
        plan = _plan(number, stage, model, operator, text, notes, distill, teachers)
        plans.append(replace(plan, init=init))
    return plans


def prepare_individuals(chain: Chain) -> list[StagePlan]:
    """The same models, each alone from scratch with the first stage's training settings."""
    first = chain.stages[0].train
    warmup = chain.individual.warmup_steps
    train = first if warmup is None else first.model_copy(update={"warmup_steps": warmup})
    plans = []
    for number, stage in enumerate(chain.stages):
        transfer = stage.transfer.model_copy(update={"distill": DistillConfig(weight=0.0), "init": None})
        alone = stage.model_copy(
            update={"epochs": individual_epochs(chain), "train": train, "transfer": transfer}
        )
        model = model_config(stage.model, chain.data.image_size)
        plans.append(_plan(number, alone, model, None, "scratch", (), NO_TEACHER))
    return plans


def _plan(
    number: int,
    stage: StageConfig,
    model: dict[str, Any],
    operator: str | None,
    text: str,
    notes: tuple[str, ...],
    distill: DistillPlan,
    teachers: tuple[ChosenTeacher, ...] = (),
) -> StagePlan:
    parameters, macs = count_parameters(model), count_macs(model)
    return StagePlan(number, stage, model, parameters, macs, operator, text, notes, distill, teachers)


def _start(
    stage: StageConfig,
    init: dict[str, Any] | None,
    before: dict[str, Any] | None,
    model: dict[str, Any],
) -> tuple[str | None, str, tuple[str, ...]]:
    return _growth(stage, before, model) if init is None else beginning(stage, init, model)


def _growth(
    stage: StageConfig, source: dict[str, Any] | None, target: dict[str, Any]
) -> tuple[str | None, str, tuple[str, ...]]:
    choice, carry = stage.transfer.growth, stage.transfer.optimizer == "carry"
    if source is None:
        return None, "scratch", ()
    if choice == "random":
        return None, "random", ()
    try:
        growth = explain(source, target, choice)
    except CannotGrow as error:
        if choice != "auto":
            raise
        note = (
            f"{stage.name} cannot be grown from its predecessor ({error.message}): only feature space is used"
            f"{', and the optimizer starts fresh' if carry else ''}"
        )
        return None, "random", (note,)
    text = f"{growth}, moments carried" if carry else str(growth)
    return choice, text, tuple(growth.notes)
