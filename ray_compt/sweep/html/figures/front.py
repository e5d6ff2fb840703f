"""The metric against cost: every candidate with the spread of its seeds, the Pareto front, the winner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ray_compt.report.card_metadata import metric_name
from ray_compt.report.html.figures.style import BLUE, GREEN, GREY, ORANGE, figure, text
from ray_compt.sweep.choice import Choice, cost_text
from ray_compt.sweep.html.figures.axes import metric_text, tick_format
from ray_compt.sweep.objective import Objective, cost_words
from ray_compt.sweep.scores import Score


def front(scores: Sequence[Score], choice: Choice, objective: Objective) -> go.Figure | None:
    """None where no candidate counts."""
    counted = [one for one in scores if one.counts]
    if not counted:
        return None
    found = figure(440)
    on_front = {one.candidate for one in choice.front}
    others = [one for one in counted if one.candidate not in on_front]
    if others:
        _add(
            found, others, objective, "candidates", {"mode": "markers", "marker": {"color": GREY, "size": 9}}
        )
    line = {"color": BLUE, "width": 2, "shape": "hv"}
    marker = {"color": BLUE, "size": 11}
    _add(
        found,
        choice.front,
        objective,
        "Pareto front",
        {"mode": "lines+markers", "line": line, "marker": marker},
    )
    if choice.winner is not None:
        star = {"symbol": "star", "size": 18, "color": ORANGE}
        _add(found, [choice.winner], objective, "winner", {"mode": "markers", "marker": star})
    if objective.at_least is not None:
        label = text(f"at least {metric_text(objective.metric, objective.at_least)}")
        found.add_hline(
            y=objective.at_least, line={"color": GREEN, "dash": "dot"}, annotation={"text": label, "x": 0}
        )
    found.update_xaxes(title_text=f"{cost_words(objective.cost_name)} of the whole chain", rangemode="tozero")
    found.update_yaxes(
        title_text=text(metric_name(objective.metric)), tickformat=tick_format(objective.metric)
    )
    return found


def _add(
    found: go.Figure, scores: Sequence[Score], objective: Objective, name: str, style: dict[str, Any]
) -> None:
    found.add_scatter(
        x=[one.cost for one in scores],
        y=[one.metric for one in scores],
        error_y={
            "array": [max(one.metrics) - one.metric for one in scores],
            "arrayminus": [one.metric - min(one.metrics) for one in scores],
            "symmetric": False,
            "visible": any(len(one.metrics) > 1 for one in scores),
            "thickness": 1.5,
        },
        name=name,
        customdata=[_shown(one, objective) for one in scores],
        hovertemplate="%{customdata}<extra></extra>",
        **style,
    )


def _shown(one: Score, objective: Objective) -> str:
    seeds = ", ".join(metric_text(objective.metric, value) for value in one.metrics)
    lines = [
        f"candidate {one.candidate}: {' → '.join(one.chain)}",
        f"{seeds} at {cost_text(one.cost, objective)}",
    ]
    return "<br>".join(map(text, lines + [f"{key}: {value}" for key, value in one.values.items()]))
