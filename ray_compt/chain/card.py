"""The model card of every finished stage: what the run knows of it, written beside the model."""

from __future__ import annotations

from collections.abc import Sequence

from ray_compt.chain.folder import INDIVIDUAL, RunFolder
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.prepare import StagePlan
from ray_compt.config.schema import Chain
from ray_compt.doctor.versions import package_versions
from ray_compt.plan import individual_epochs, individual_macs
from ray_compt.report.card_parts import CARD_FILE
from ray_compt.report.model_card import CardFacts, Lesson, model_card
from ray_compt.train.disk import explained

PACKAGES = ("torch", "open_clip_torch", "deepspeed", "ray")

Trained = tuple[StagePlan, StageEntry]


def write_card(folder: RunFolder, chain: Chain, samples: int, lineage: Sequence[Trained]) -> None:
    """Write the card of the last model of `lineage`, which is done, whole or not at all.

    Args:
        folder: the run's.
        chain: the chain file.
        samples: readable training samples.
        lineage: the model's stage, the last, and those before it in the chain; of an individual model it alone.

    Raises:
        TrainingError: there is no room to write.
    """
    plan, entry = lineage[-1]
    facts = CardFacts(
        chain=chain,
        train=plan.config.train,
        config=plan.model,
        forward=plan.macs,
        lineage=tuple(_lesson(*one) for one in lineage),
        individual=entry.folder.startswith(INDIVIDUAL),
        training_samples=samples,
        alone_epochs=individual_epochs(chain),
        alone_macs=individual_macs(chain, plan.macs, plan.config.train.global_batch, samples),
        metrics=entry.metrics,
        versions=versions(),
    )
    place = folder.stage(entry) / CARD_FILE
    with explained(str(place)):
        place.write_text(model_card(facts))


def write_missing_cards(
    folder: RunFolder, chain: Chain, ledger: Ledger, plans: Sequence[StagePlan], alone: Sequence[StagePlan]
) -> None:
    """Write the cards that finished models lack: of a run that broke off just then, or of an older version."""
    stages = list(zip(plans, ledger.stages))
    lineages = [stages[: number + 1] for number in range(len(stages))]
    # One that is the chain's own first stage has that stage's card.
    lineages += [[one] for one in zip(alone, ledger.individual) if one[1] not in ledger.stages]
    for lineage in lineages:
        entry = lineage[-1][1]
        if entry.state == "done" and not (folder.stage(entry) / CARD_FILE).is_file():
            write_card(folder, chain, ledger.training_samples, lineage)


def _lesson(plan: StagePlan, entry: StageEntry) -> Lesson:
    return Lesson(
        name=entry.name,
        model=entry.model,
        parameters=entry.parameters,
        growth=entry.growth,
        distill=plan.distill,
        teachers=tuple((teacher.name, teacher.share) for teacher in plan.teachers),
        epochs=entry.epochs,
        steps=entry.steps,
        samples=entry.samples,
        macs=entry.macs,
        teacher_macs=entry.teacher_macs,
    )


def versions() -> dict[str, str]:
    """Of what trains a model, by name."""
    found = package_versions()
    return {name: found[name] for name in ("ray_compt", *PACKAGES, "Python")}
