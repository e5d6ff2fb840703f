"""The model card of a stage: README.md in the layout of the Hugging Face hub, from facts to text.

`model_card` is a pure function of `CardFacts`. Each section is a function below; a new one goes into its list.
Nothing is stated that the run does not know: no licence, no base model of the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import Chain, TrainConfig
from ray_compt.distill.settings import DistillPlan
from ray_compt.models import Macs
from ray_compt.plan.table import format_count
from ray_compt.report.card_metadata import COUNT, metadata, metric_name, metric_value
from ray_compt.report.card_parts import architecture, card_text, crops, optimiser, split, table, use, versions
from ray_compt.report.published import code, without_credentials

PAPER = "https://arxiv.org/abs/2604.12391"


@dataclass(frozen=True)
class Lesson:
    """One trained model on the way to the card's model, or that model itself.

    Attributes:
        name, model: of the stage.
        parameters: of the model.
        growth: how its initial weights were made.
        distill: the distillation loss and its weight over time.
        teachers: name or folder of each teacher with its share of that weight.
        epochs, steps, samples: passes over the data, optimizer steps, samples trained on.
        macs, teacher_macs: of its training; the teachers' part.
    """

    name: str
    model: str
    parameters: int
    growth: str
    distill: DistillPlan
    teachers: tuple[tuple[str, float], ...]
    epochs: float
    steps: int
    samples: int
    macs: int
    teacher_macs: int


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        chain: the chain file.
        train: how the model was optimised.
        config: open_clip's configuration of the model.
        forward: MACs of one forward pass.
        lineage: the model's stage, the last, and all that it descends from.
        individual: trained alone as a baseline, not as a stage of the chain.
        training_samples: readable samples of the training split.
        alone_epochs, alone_macs: the plan of the same model trained alone.
        metrics: of the evaluation; none where there was none.
        versions: of what trained the model, by name.
    """

    chain: Chain
    train: TrainConfig
    config: Mapping[str, Any]
    forward: Macs
    lineage: tuple[Lesson, ...]
    individual: bool
    training_samples: int
    alone_epochs: float
    alone_macs: int
    metrics: Mapping[str, float]
    versions: Mapping[str, str]

    @property
    def own(self) -> Lesson:
        return self.lineage[-1]


def model_card(facts: CardFacts) -> str:
    """The text of README.md: metadata in YAML, then Markdown."""
    name = f"{facts.chain.name}/{facts.own.name}"
    head = metadata(name, split(facts.chain.data.val), facts.metrics)
    sections = (_introduction, _use, _architecture, _lineage, _data, _recipe, _cost, _evaluation, _versions)
    return card_text(head, [section(facts) for section in (*sections, _limits)])


def _introduction(facts: CardFacts) -> list[str]:
    own, chain = facts.own, facts.chain
    number = [stage.name for stage in chain.stages].index(own.name) + 1
    place = (
        f"trained alone from scratch, as the baseline of stage {number}"
        if facts.individual
        else f"stage {number} of {len(chain.stages)}"
    )
    return [
        f"# {own.name}",
        "",
        f"A CLIP model ({own.model}, {format_count(own.parameters)} parameters): {place} of the chain "
        f"{code(chain.name)}, by [Chain-of-Models Pre-Training]({PAPER}) with ray_compt.",
    ]


def _use(facts: CardFacts) -> list[str]:
    return use()


def _architecture(facts: CardFacts) -> list[str]:
    return architecture(facts.config, facts.own.parameters, facts.forward, facts.chain.data.image_size)


def _lineage(facts: CardFacts) -> list[str]:
    header = ("stage", "model", "parameters", "initial weights", "taught by", "epochs", "steps", "MACs")
    rows = [
        (
            one.name,
            one.model,
            format_count(one.parameters),
            one.growth,
            _teachers(one),
            f"{one.epochs:g}",
            f"{one.steps:,}",
            format_count(one.macs),
        )
        for one in facts.lineage
    ]
    return ["## Lineage", "", *table(header, rows)]


def _teachers(one: Lesson) -> str:
    shares = len(one.teachers) > 1
    return (
        ", ".join(
            code(without_credentials(name)) + (f" ({share:.0%})" if shares else "")
            for name, share in one.teachers
        )
        or "-"
    )


def _data(facts: CardFacts) -> list[str]:
    data, own = facts.chain.data, facts.own
    captions = (
        f"{data.captions_per_image} caption{'s' if data.captions_per_image > 1 else ''} a picture and step"
    )
    return [
        "## Data",
        "",
        f"- Training: {split(data.train, quoted=True)}, {facts.training_samples:,} samples, {captions}",
        f"- Seen in this stage: {own.samples:,} samples in {own.epochs:g} epochs; before it, by its predecessors: "
        f"{sum(one.samples for one in facts.lineage[:-1]):,}",
        f"- Validation: {split(data.val, quoted=True)}",
        crops(data),
    ]


def _recipe(facts: CardFacts) -> list[str]:
    train, distill = facts.train, facts.own.distill
    return [
        "## Recipe",
        "",
        f"- Contrastive loss over the global batch of {train.global_batch}, {train.precision}, seed {facts.chain.seed}",
        *optimiser(train),
        f"- Initial weights: {facts.own.growth}",
        f"- Distillation: {_distillation(distill)}",
        "",
        f"The whole recipe is `chain.yaml` of the run {code(facts.chain.name)}.",
    ]


def _distillation(distill: DistillPlan) -> str:
    if not distill.active:
        return "none"
    towers = "both towers" if distill.towers == "both" else f"the {distill.towers} tower"
    decay = "" if distill.decay == "none" else f", falling ({distill.decay})"
    until = "to the end" if distill.stop_at == 1 else f"until {distill.stop_at:g} of the stage"
    return f"{distill.kind} loss of {towers}, weight {distill.weight:.3g}{decay} {until} ({distill.reason})"


def _cost(facts: CardFacts) -> list[str]:
    own, total = facts.own, sum(one.macs for one in facts.lineage)
    lines = [
        "## Cost",
        "",
        "Multiply-accumulates (MACs) of training: three forwards of the student for each sample, one of each teacher "
        "where it was asked; without the loss, the optimizer and evaluation.",
        "",
        *table(
            ("", "MACs"),
            [
                ("student", format_count(own.macs - own.teacher_macs)),
                ("teachers", format_count(own.teacher_macs)),
                ("with all before it in the chain", format_count(total)),
                (
                    f"the same model alone, {facts.alone_epochs:g} epochs (planned)",
                    format_count(facts.alone_macs),
                ),
            ],
        ),
    ]
    if facts.individual:
        return lines
    return [
        *lines,
        "",
        f"All that leads to this model cost {total / facts.alone_macs:.1%} of training it alone. Whether it is as good "
        "as one trained alone, this number does not say.",
    ]


def _evaluation(facts: CardFacts) -> list[str]:
    measured = {key: value for key, value in facts.metrics.items() if key != COUNT}
    if not measured:
        return ["## Evaluation", "", "None: the chain file names no validation split."]
    pictures = f", {facts.metrics[COUNT]:,.0f} pictures" if COUNT in facts.metrics else ""
    rows = [(metric_name(key), metric_value(key, value)) for key, value in measured.items()]
    prompts = ", ".join(map(code, facts.chain.data.class_templates))
    return [
        "## Evaluation",
        "",
        f"On {split(facts.chain.data.val, quoted=True)}{pictures}, after the last step, without choosing a "
        f"checkpoint. Prompts of classes: {prompts}.",
        "",
        *table(("metric", "value"), rows),
    ]


def _versions(facts: CardFacts) -> list[str]:
    return versions(facts.versions)


def _limits(facts: CardFacts) -> list[str]:
    names = {stage.name for stage in facts.chain.stages}
    outside = [name for one in facts.lineage for name, _ in one.teachers if name not in names]
    lines = [
        "## Limits",
        "",
        f"- {'Measured on the validation split above alone' if facts.metrics else 'Not evaluated'}: nothing is known "
        "of other data, of other languages, or of what the data leads it to say about people.",
        "- No licence is stated: it depends on the data. Add `license:` to the head of this file before publishing.",
    ]
    if outside:
        return [*lines, "- What training the teachers from outside the chain cost is not counted."]
    return lines
