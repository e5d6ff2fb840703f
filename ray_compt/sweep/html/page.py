"""From a sweep's record to its page: what the template shows, and the figures in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray_compt.plan.table import format_count
from ray_compt.report.card_metadata import metric_name
from ray_compt.report.html.document import Plots, write_document
from ray_compt.sweep.choice import Choice, choose, cost_text
from ray_compt.sweep.html.figures.axes import is_share, metric_text
from ray_compt.sweep.html.figures.front import front
from ray_compt.sweep.html.figures.importance import importance_bars
from ray_compt.sweep.html.figures.parallel import parallel
from ray_compt.sweep.html.figures.tree import tree
from ray_compt.sweep.importance import importance
from ray_compt.sweep.prefixes import forest, walk
from ray_compt.sweep.record import SweepRecord, TrialRecord
from ray_compt.sweep.scores import Score, hypervolume, reference_point, score

PACKAGE = "ray_compt.sweep.html"
FILE = "sweep.html"


def render(record: SweepRecord, *, version: str) -> str:
    """The text of the HTML file.

    Args:
        record: the sweep, running or ended.
        version: of ray_compt, which makes the file.
    """
    scores = score(record.trials, record.objective)
    choice, mattered = choose(scores, record.objective), importance(scores)
    roots, plots = forest(record.trials), Plots()
    return write_document(
        PACKAGE,
        "sweep.html",
        plots,
        title=record.name,
        version=version,
        record=record,
        headline=headline(record),
        verdict=choice.words,
        cards=cards(record, scores, choice),
        volume=volume_words(scores, record),
        mattered=mattered,
        failed=[trial for trial in record.trials if trial.error],
        table=table(record),
        tree=[(depth, node) for depth, node in walk(roots)],
        plots={
            "front": plots.add("front", front(scores, choice, record.objective)),
            "parallel": plots.add("parallel", parallel(scores, record.objective)),
            "importance": plots.add("importance", importance_bars(mattered)),
            "tree": plots.add("tree", tree(roots, record.name)),
        },
    )


def headline(record: SweepRecord) -> str:
    """What is sought, and how far it is, in one line."""
    counts = [
        f"{count} {state}"
        for state in ("done", "pruned", "failed", "running", "pending")
        if (count := record.count(state))
    ]
    return f"{record.objective.words()}: {', '.join(counts) or 'no trial has begun'}"


def cards(record: SweepRecord, scores: Sequence[Score], choice: Choice) -> list[tuple[str, str, str]]:
    """The result in a few numbers: title, value, what it is held against."""
    objective, winner, found = record.objective, choice.winner, []
    if winner is not None:
        chain = " → ".join(winner.chain)
        name = f"{metric_name(objective.metric)} of candidate {winner.candidate}"
        found.append((name, metric_text(objective.metric, winner.metric), chain))
        found.append(("its cost", cost_text(winner.cost, objective), "the whole chain, teachers included"))
    paid, saved = record.macs_paid, record.macs_saved
    found.append(
        ("paid", f"{format_count(paid)} MACs", f"{sum(s.counts for s in scores)} candidates measured")
    )
    share = f"{saved / (paid + saved):.0%} of what it would have cost" if paid + saved else "no stage shared"
    found.append(("saved by shared stages", f"{format_count(saved)} MACs", share))
    return found


def volume_words(scores: Sequence[Score], record: SweepRecord) -> str:
    """The hypervolume of all candidates, with its reference point; empty where none counts."""
    objective = record.objective
    reference = reference_point(scores, objective)
    if reference is None:
        return ""
    points = [(one.cost, one.metric) for one in scores if one.counts]
    area, (cost, metric) = hypervolume(points, reference, objective), reference
    at = f"from {metric_text(objective.metric, metric)} at {cost_text(cost, objective)}"
    if is_share(objective.metric) and objective.mode == "max" and cost:
        # Of the box up to a metric of 1 at no cost.
        return f"Hypervolume {area / (cost * (1 - metric)):.3f} of the whole box, {at}."
    return f"Hypervolume {area:.4g}, {at}."


def table(record: SweepRecord) -> dict[str, Any]:
    """Every trial."""
    keys = list(dict.fromkeys(key for trial in record.trials for key in trial.values))
    return {"keys": keys, "rows": [_row(trial, keys, record.objective.metric) for trial in record.trials]}


def _row(trial: TrialRecord, keys: Sequence[str], metric: str) -> dict[str, Any]:
    reached = trial.metrics.get(metric)
    reused = sum(stage.reused for stage in trial.stages)
    return {
        "trial": trial,
        "chain": " → ".join(trial.chain),
        "values": [_value(trial.values.get(key, "-")) for key in keys],
        # Of a pruned trial it is that of an earlier stage.
        "metric": "-" if reached is None or trial.state != "done" else metric_text(metric, reached),
        "reused": f"{reused}/{len(trial.stages)}" if trial.stages else "-",
    }


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
