"""The chains of a sweep in accuracy against cost, with their Pareto front, as SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt

from benchmarks.acceleration.plots import STYLE, save
from benchmarks.acceleration.tables import TERA
from benchmarks.orderings.table import chain_name
from ray_compt.sweep.record import SweepRecord
from ray_compt.sweep.scores import pareto_front, score


def draw(record: SweepRecord, path: Path) -> Path:
    """A point a chain, its bar from the worst seed to the best; the front as steps."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scores = [one for one in score(record.trials, record.objective) if one.counts]
    front = pareto_front(scores, record.objective)
    with matplotlib.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(8, 5))
        for one in scores:
            mean = 100 * one.metric
            below, above = mean - 100 * min(one.metrics), 100 * max(one.metrics) - mean
            colour = "C0" if one in front else "0.5"
            place = (one.cost / TERA, mean)
            axes.errorbar(*place, yerr=[[below], [above]], marker="o", capsize=3, color=colour)
            axes.annotate(chain_name(one), place, (6, -12), textcoords="offset points", fontsize=8)
        axes.step(
            [one.cost / TERA for one in front], [100 * one.metric for one in front], where="post", color="C0"
        )
        axes.set(
            xlabel="cost of the chain, 10^12 MACs (teachers included)", ylabel=f"{record.objective.metric}, %"
        )
        return save(figure, path)
