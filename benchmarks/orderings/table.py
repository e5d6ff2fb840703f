"""A sweep over chains as Markdown: a row a chain, what they shared, and what the front's chains have in common."""

from __future__ import annotations

from benchmarks.acceleration.analysis import spread
from benchmarks.acceleration.tables import TERA, table
from ray_compt.sweep.record import SweepRecord, TrialRecord
from ray_compt.sweep.scores import Score, pareto_front, score


def section(record: SweepRecord) -> str:
    """The table of chains, cheapest first, and what sharing saved."""
    scores = sorted((one for one in score(record.trials, record.objective) if one.counts), key=_cost)
    front = {one.candidate for one in pareto_front(scores, record.objective)}
    heads = [
        "chain",
        "MACs, 10^12",
        f"{record.objective.metric} by stage, %",
        "last, by seed",
        "on the front",
    ]
    rows = [[*_row(one, record.objective.metric), "yes" if one.candidate in front else ""] for one in scores]
    return "\n".join([table(heads, rows), *(f"- {line}" for line in summary(record)), ""])


def summary(record: SweepRecord) -> list[str]:
    """What trials shared, and how far longer chains and more expensive ones are ahead."""
    trials = record.trials
    stages = [stage for trial in trials for stage in trial.stages]
    trained = sum(not stage.reused for stage in stages)
    paid, saved = record.macs_paid, record.macs_saved
    return [
        f"{len(trials)} trials have {len(stages)} stages, of which {trained} were trained and {len(stages) - trained} "
        f"taken from others: {paid / TERA:.1f} T MACs paid, {saved / TERA:.1f} T saved, "
        f"{saved / (paid + saved):.0%} of what the trials would have cost one by one."
    ]


def stage_means(score: Score, metric: str) -> list[float]:
    """The metric at the end of each stage, averaged over seeds, first to last."""
    found = [[stage.metrics[metric] for stage in trial.stages] for trial in score.trials]
    return [spread(values).mean for values in zip(*found)]


def chain_name(trial: TrialRecord | Score) -> str:
    """A trial's chain with its epochs, "XS 40 -> S 8"."""
    first = trial.trials[0] if isinstance(trial, Score) else trial
    return " -> ".join(f"{stage.name} {stage.epochs:g}" for stage in first.stages)


def _row(one: Score, metric: str) -> list[str]:
    return [
        chain_name(one),
        f"{one.cost / TERA:.2f}",
        ", ".join(f"{100 * mean:.1f}" for mean in stage_means(one, metric)),
        ", ".join(f"{100 * value:.1f}" for value in one.metrics),
    ]


def _cost(one: Score) -> float:
    return one.cost
