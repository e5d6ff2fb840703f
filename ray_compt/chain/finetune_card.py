"""The card of a fine-tuned model: what the run knows of it, written beside the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_compt.chain.card import versions
from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger
from ray_compt.chain.prepare import StagePlan
from ray_compt.config.schema import Chain
from ray_compt.models.store import WEIGHTS_FILE, load_metadata
from ray_compt.plan import FinetuningMacs
from ray_compt.report.card_parts import CARD_FILE
from ray_compt.report.finetune_card import FinetuneFacts, finetune_card
from ray_compt.storage import open_place
from ray_compt.train.disk import explained


def write_missing_card(
    folder: RunFolder,
    chain: Chain,
    plan: StagePlan,
    ledger: Ledger,
    found: Mapping[str, Any],
    spent: FinetuningMacs,
) -> None:
    """Write the card of the fine-tuned model, which is done, whole or not at all; one that is there stays.

    Args:
        folder: the run's.
        chain, plan: of its one stage.
        ledger: of the run.
        found: the content of finetune.json.
        spent: what it cost.

    Raises:
        TrainingError: there is no room to write.
        UserError: the source's weights file is damaged.
    """
    entry = ledger.stages[0]
    place = folder.stage(entry) / CARD_FILE
    if place.is_file():
        return
    facts = FinetuneFacts(
        chain=chain,
        train=plan.config.train,
        source=found["model"],
        origin=_origin(found["model"]),
        model=entry.model,
        config=plan.model,
        parameters=entry.parameters,
        forward=plan.macs,
        classes=found["classes"],
        prompts=chain.data.class_templates if found["head"] == "zero-shot" else (),
        label_smoothing=found["label_smoothing"],
        training_samples=ledger.training_samples,
        epochs=entry.epochs,
        steps=entry.steps,
        samples=entry.samples,
        macs=spent,
        before=found["before"],
        after=found["after"],
        versions=versions(),
    )
    with explained(str(place)):
        place.write_text(finetune_card(facts))


def _origin(source: str) -> dict[str, str]:
    """What the header of the source's weights says of its training, where it is a folder of ours."""
    folder = open_place(source)
    return load_metadata(folder) if (folder / WEIGHTS_FILE).is_file() else {}
