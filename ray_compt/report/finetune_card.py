"""The model card of a fine-tuned model, from facts to text; a stage's is in `model_card.py`.

A section is a function of `FinetuneFacts`; a new one goes into the list in `finetune_card`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import Chain, TrainConfig
from ray_compt.models import Macs
from ray_compt.plan import FinetuningMacs
from ray_compt.plan.table import format_count
from ray_compt.report.card_metadata import metadata, metric_value
from ray_compt.report.card_parts import (
    architecture,
    card_text,
    crops,
    optimiser,
    split,
    table,
    use,
    versions,
)
from ray_compt.report.published import code, without_credentials

PIPELINE, TAGS = "image-classification", ("clip", "ray_compt", "fine-tuned")
LOGITS = (
    "",
    "from safetensors.torch import load_file",
    "",
    'head = load_file("FOLDER/head.safetensors")  # rows in the order of classes.json',
    "embedding = model.encode_image(preprocess(picture)[None], normalize=True)",
    'logits = embedding @ head["head.weight"].T + head["head.bias"]',
)


@dataclass(frozen=True)
class FinetuneFacts:
    """What the card of a fine-tuned model says.

    Attributes:
        chain: the resolved configuration, a chain of one stage.
        train: how the model was optimised.
        source: what was fine-tuned, as it was given.
        origin: what the source's header says of its training, by name; nothing where it is not a model of ours.
        model: its name.
        config: its open_clip configuration.
        parameters: of it.
        forward: MACs of one forward pass.
        classes: number of classes of the head.
        prompts: that the head began as, with {} for the class; none: it began at zero.
        label_smoothing: see `Classification`.
        training_samples: readable samples of the training split.
        epochs, steps, samples: passes over the data, optimizer steps, samples trained on.
        macs: of the fine-tuning.
        before, after: top-1 on the validation split, a share.
        versions: of what trained the model, by name.
    """

    chain: Chain
    train: TrainConfig
    source: str
    origin: Mapping[str, str]
    model: str
    config: Mapping[str, Any]
    parameters: int
    forward: Macs
    classes: int
    prompts: Sequence[str]
    label_smoothing: float
    training_samples: int
    epochs: float
    steps: int
    samples: int
    macs: FinetuningMacs
    before: float
    after: float
    versions: Mapping[str, str]


def finetune_card(facts: FinetuneFacts) -> str:
    """The text of README.md: metadata in YAML, then Markdown."""
    name = f"{facts.model}, fine-tuned"
    head = metadata(name, split(facts.chain.data.val), {"top1": facts.after}, pipeline=PIPELINE, tags=TAGS)
    sections = (_introduction, _use, _architecture, _lineage, _data, _recipe, _cost, _evaluation, _versions)
    return card_text(head, [section(facts) for section in (*sections, _limits)])


def _introduction(facts: FinetuneFacts) -> list[str]:
    return [
        f"# {facts.model}, fine-tuned",
        "",
        f"A CLIP model ({facts.model}, {format_count(facts.parameters)} parameters) whose image tower was fine-tuned "
        f"with a linear head on labelled pictures of {facts.classes} classes, with ray_compt.",
    ]


def _use(facts: FinetuneFacts) -> list[str]:
    return use(LOGITS, more=("head.safetensors", "classes.json"))


def _architecture(facts: FinetuneFacts) -> list[str]:
    lines = architecture(facts.config, facts.parameters, facts.forward, facts.chain.data.image_size)
    head = facts.config["embed_dim"] * facts.classes + facts.classes
    return [
        *lines,
        f"- Head: linear, {facts.classes} classes, {head:,} parameters, on embeddings of unit length",
    ]


def _lineage(facts: FinetuneFacts) -> list[str]:
    lines = ["## Lineage", "", f"- Fine-tuned from: {_named(facts.source)}"]
    words = {"chain": "stages of its chain", "finetuned_from": "itself fine-tuned from", "steps": "steps"}
    told = [f"{words[key]} {_named(facts.origin[key])}" for key in words if key in facts.origin]
    return [*lines, f"- That model: {', '.join(told)}"] if told else lines


def _data(facts: FinetuneFacts) -> list[str]:
    data = facts.chain.data
    return [
        "## Data",
        "",
        f"- Training: {split(data.train, quoted=True)}, {facts.training_samples:,} labelled pictures",
        f"- Seen: {facts.samples:,} pictures in {facts.epochs:g} epochs, {facts.steps:,} steps",
        f"- Validation: {split(data.val, quoted=True)}",
        crops(data),
    ]


def _recipe(facts: FinetuneFacts) -> list[str]:
    prompts = ", ".join(map(code, facts.prompts))
    began = f"the zero-shot classifier of the prompts {prompts}" if prompts else "zeros"
    smoothing = f", label smoothing {facts.label_smoothing:g}" if facts.label_smoothing else ""
    return [
        "## Recipe",
        "",
        f"- Cross-entropy over the global batch of {facts.train.global_batch}{smoothing}, {facts.train.precision}, "
        f"seed {facts.chain.seed}",
        *optimiser(facts.train),
        f"- The head began as {began}",
        "- The text tower and the logit scale are the source's, to the bit",
    ]


def _cost(facts: FinetuneFacts) -> list[str]:
    rows = [
        ("image tower and head, trained", format_count(facts.macs.trained)),
        ("text tower, frozen, for the head's prompts", format_count(facts.macs.frozen)),
        ("together", format_count(facts.macs.total)),
    ]
    return [
        "## Cost",
        "",
        "Multiply-accumulates (MACs) of fine-tuning: three forwards of what is trained for each picture, one of the "
        "text tower for each prompt; without the optimizer, evaluation, and what the source's own training cost.",
        "",
        *table(("", "MACs"), rows),
    ]


def _evaluation(facts: FinetuneFacts) -> list[str]:
    head = "zero-shot" if facts.prompts else "zero"
    rows = [
        (f"top-1 before, with the {head} head", metric_value("top1", facts.before)),
        ("top-1 after", metric_value("top1", facts.after)),
    ]
    return [
        "## Evaluation",
        "",
        f"On {split(facts.chain.data.val, quoted=True)}, after the last step, without choosing a checkpoint.",
        "",
        *table(("metric", "value"), rows),
    ]


def _versions(facts: FinetuneFacts) -> list[str]:
    return versions(facts.versions)


def _limits(facts: FinetuneFacts) -> list[str]:
    return [
        "## Limits",
        "",
        "- Measured on the validation split above alone: nothing is known of other data, or of what the data leads it "
        "to say about people. Its image tower has moved and its text tower has not: zero-shot it may be worse.",
        "- No licence is stated: it depends on the data and on the source. Add `license:` to the head of this file "
        "before publishing.",
    ]


def _named(reference: str) -> str:
    return code(without_credentials(reference))
