"""The words and numbers that a run prints: what a stage does, what it reached, and the closing table."""

from __future__ import annotations

from collections.abc import Sequence

from ray_compt.chain.ledger import Ledger, StageEntry, macs_saved
from ray_compt.chain.prepare import StagePlan
from ray_compt.config.schema import Chain
from ray_compt.plan.cost import ChainCost, training_macs
from ray_compt.plan.table import format_count
from ray_compt.report.terminal import Terminal, percent

COLUMNS = ("model", "parameters", "MACs", "epochs", "zero-shot", "image→text R@1", "cost / alone", "seconds")


def costs(
    plan: StagePlan, chain: Chain, taken: int, steps: int, features: int | None = None
) -> dict[str, int]:
    """The ledger's "macs" and "teacher_macs" of a stage that took `taken` of its `steps` steps.

    Args:
        features: samples that its teachers computed features of, all teachers together and each taken as the average
            one; None: those of every step that distils.
    """
    spent = training_macs(
        plan.macs,
        captions=chain.data.captions_per_image,
        global_batch=plan.config.train.global_batch,
        steps=taken,
        teachers=[teacher.macs for teacher in plan.teachers],
        teacher_steps=min(taken, plan.distill.last_step(steps)),
    )
    taught = spent.teacher
    if features is not None and plan.teachers:
        forward = sum(teacher.macs.forward(chain.data.captions_per_image) for teacher in plan.teachers)
        taught = features * forward // len(plan.teachers)
    return {"macs": spent.student + taught, "teacher_macs": taught}


def describe_stage(plan: StagePlan, steps: int) -> str:
    """What a stage is about to do, in one line."""
    parts = [f"{format_count(plan.parameters)} parameters", f"{plan.config.epochs:g} epochs = {steps} steps"]
    parts.append("from scratch" if plan.growth is None else f"grown ({plan.growth_text})")
    if plan.distill.active:
        fade = "" if plan.distill.stop_at == 1 else f" until {plan.distill.stop_at:g} of the stage"
        parts.append(f"{_loss_words(plan)} weight {plan.distill.weight:.3g}{fade} ({plan.distill.reason})")
    return ", ".join(parts)


def _loss_words(plan: StagePlan) -> str:
    """The distillation loss: "distillation", or what differs from the paper's."""
    kind = "" if plan.distill.kind == "embedding" else f"{plan.distill.kind} "
    towers = "" if plan.distill.towers == "both" else f" of the {plan.distill.towers} tower"
    return f"{kind}distillation{towers}"


def teacher_words(plan: StagePlan) -> str:
    """A stage's teachers by name, several with their shares."""
    if len(plan.teachers) == 1:
        return f"teacher {plan.teachers[0].name}"
    return "teachers " + ", ".join(f"{teacher.name} ({teacher.share:.0%})" for teacher in plan.teachers)


def result_line(entry: StageEntry) -> str:
    """What a stage reached, in one line."""
    found = [
        f"{label} {percent(entry.metrics[key])}"
        for label, key in (("zero-shot", "zero_shot_top1"), ("image to text R@1", "image_to_text_r1"))
        if key in entry.metrics
    ]
    found += [f"{format_count(entry.macs)} MACs", f"{entry.samples_per_second:.0f} samples/s"]
    return f"done in {entry.seconds:.0f} s: " + ", ".join(found)


def print_summary(terminal: Terminal, chain: Chain, cost: ChainCost, ledger: Ledger) -> None:
    """Print the closing table: the chain, and where they were trained, the individual models."""
    _print_entries(terminal, f"chain {chain.name}", ledger.stages, cost)
    if ledger.individual:
        _print_entries(terminal, "each alone, from scratch", ledger.individual, cost)
    saved = macs_saved(ledger.stages + ledger.individual)
    if saved:
        terminal.line(f"Stages that the store had already saved {format_count(saved)} MACs of these.")
    done = sum(entry.macs for entry in ledger.stages)
    measured = bool(ledger.individual) and all(entry.state == "done" for entry in ledger.individual)
    alone = sum(entry.macs for entry in ledger.individual) if measured else cost.individual_macs
    how = "trained" if measured else f"planned, {cost.stages[0].individual_epochs:g} epochs each"
    if done:
        terminal.line(
            f"The chain took {format_count(done)} MACs, each model alone {format_count(alone)} ({how}): "
            f"{alone / done:.2f} times less compute. Whether accuracy is equal, the table says, not this number."
        )


def _print_entries(terminal: Terminal, title: str, entries: Sequence[StageEntry], cost: ChainCost) -> None:
    rows = []
    for entry, planned in zip(entries, cost.stages):
        reached = entry.metrics
        rows.append(
            (
                entry.name,
                format_count(entry.parameters),
                format_count(entry.macs),
                f"{entry.epochs:g}",
                percent(reached.get("zero_shot_top1")),
                percent(reached.get("image_to_text_r1")),
                percent(entry.macs / planned.individual_macs),
                f"{entry.seconds:.0f}",
            )
        )
    terminal.table(title, COLUMNS, rows)
