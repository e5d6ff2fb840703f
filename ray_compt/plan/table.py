"""A plan as text: the table's cells and the sentences under it; drawing them is the command's matter."""

from __future__ import annotations

from ray_compt.plan.cost import ChainCost

HEADER = (
    "stage",
    "model",
    "parameters",
    "image MACs",
    "text MACs",
    "epochs",
    "steps",
    "student MACs",
    "teacher MACs",
    "share",
    "alone",
)
PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")


def rows(cost: ChainCost) -> list[tuple[str, ...]]:
    """The table's cells, one row a stage in the order of `HEADER`; `alone` is the individual model's MACs."""
    return [
        (
            stage.name,
            stage.model,
            format_count(stage.parameters),
            format_count(stage.image_macs),
            format_count(stage.text_macs),
            f"{stage.epochs:g}",
            f"{stage.steps:,}",
            format_count(stage.student_macs),
            format_count(stage.teacher_macs) if stage.teacher_steps else "-",
            f"{stage.share:.1%}",
            format_count(stage.individual_macs),
        )
        for stage in cost.stages
    ]


def summary(cost: ChainCost) -> list[str]:
    """What the plan comes to, one sentence a line."""
    largest = cost.stages[-1]
    teacher = sum(stage.teacher_macs for stage in cost.stages) / cost.chain_macs
    captions = cost.captions_per_image
    return [
        f"{cost.samples:,} samples, {captions} caption{'s' if captions > 1 else ''} a picture; "
        + (f"the teachers take {teacher:.1%} of the chain." if teacher else "no teacher."),
        f"The chain costs {format_count(cost.chain_macs)} MACs: {cost.largest_share:.0%} of {largest.model} "
        f"trained alone ({largest.individual_epochs:g} epochs, {format_count(largest.individual_macs)}).",
        f"The family of {len(cost.stages)} alone costs {format_count(cost.individual_macs)} MACs: "
        f"acceleration {cost.acceleration:.2f}x.",
    ]


def format_count(value: float) -> str:
    """Three significant digits with an SI prefix: 1234 -> "1.23 k", 61_500_000 -> "61.5 M"."""
    if abs(value) < 1000 and value == int(value):
        return f"{value:.0f}"
    power = 0
    # 999.5 would be rounded up to 1000.
    while abs(value) >= 999.5 and power < len(PREFIXES) - 1:
        value, power = value / 1000, power + 1
    digits = f"{value:.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"
    return f"{digits} {PREFIXES[power]}".rstrip()
