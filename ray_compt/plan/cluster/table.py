"""An estimate as text: the table's cells and the sentences under it; drawing them is the command's matter."""

from __future__ import annotations

from ray_compt.plan.cluster.estimate import ClusterEstimate, StageEstimate
from ray_compt.plan.cluster.instances import PRICES_FROM

HEADER = (
    "stage",
    "workers",
    "nodes",
    "step",
    "samples/s",
    "held up by",
    "reading",
    "hours",
    "$",
    "alone",
    "$ alone",
)


def rows(found: ClusterEstimate) -> list[tuple[str, ...]]:
    """The table's cells, one row a stage in the order of `HEADER`."""
    return [
        (
            stage.name,
            str(stage.workers),
            f"{stage.nodes} {stage.node_type}",
            format_seconds(stage.stage.step.total),
            f"{stage.samples_s:,.0f}",
            stage.stage.step.bottleneck,
            f"{stage.loader_mb_s:,.0f} MB/s, {stage.loader_threads:,.1f} cores",
            format_hours(stage.stage.hours),
            format_dollars(stage.stage.dollars),
            format_hours(stage.alone.hours),
            format_dollars(stage.alone.dollars),
        )
        for stage in found.stages
    ]


def summary(found: ClusterEstimate) -> list[str]:
    """What the estimate comes to and rests on, one sentence a line."""
    lost = sum(stage.stage.lost_hours for stage in found.stages)
    spot = any(stage.spot for stage in found.stages)
    lines = [
        f"The chain takes {format_hours(found.hours)} and ${format_dollars(found.dollars)}, its models alone "
        f"{format_hours(found.alone_hours)} and ${format_dollars(found.alone_dollars)}: "
        f"{found.alone_hours / found.hours:.2f}x the time.",
        *dict.fromkeys(_rate(stage) for stage in found.stages),
    ]
    if spot:
        lines.append(f"Preemptions are expected to take {format_hours(lost)} of the chain.")
    if found.cloud != "local":
        lines.append(f"Prices are an order of magnitude, as of {PRICES_FROM}, without storage and traffic.")
    notes: dict[str, list[str]] = {}
    for stage in found.stages:
        for note in _notes(stage):
            notes.setdefault(note, []).append(stage.name)
    return lines + [f"{', '.join(names)}: {note}." for note, names in notes.items()]


def _rate(stage: StageEstimate) -> str:
    rate, besides = stage.rate, ""
    if rate.overhead_s:
        besides = f" and takes {1e3 * rate.overhead_s:.0f} ms a step besides"
    return f"A worker reaches {rate.share:.1%} of the peak of its {stage.device}{besides} ({rate.source})."


def _notes(stage: StageEstimate) -> tuple[str, ...]:
    where = f"the teacher runs {'as a service' if stage.teacher == 'service' else 'inside the workers'}"
    return (*((where,) if stage.teacher else ()), *stage.notes)


def format_seconds(seconds: float) -> str:
    """Two to three digits: 0.0123 -> "12.3 ms", 1.5 -> "1.50 s"."""
    return f"{1e3 * seconds:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def format_hours(hours: float) -> str:
    """0.02 -> "72 s", 0.5 -> "30 min", 12.34 -> "12.3 h", 1000 -> "1,000 h"."""
    if 3600 * hours < 100:
        return f"{3600 * hours:.0f} s"
    if hours < 2:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 100 else f"{hours:,.0f} h"


def format_dollars(dollars: float) -> str:
    """Two digits of what is small, whole dollars of what is not."""
    return f"{dollars:,.0f}" if dollars >= 10 else f"{dollars:.2f}"
