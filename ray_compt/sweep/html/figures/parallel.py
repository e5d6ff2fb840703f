"""Parallel coordinates: each candidate a line over its composition, its values, its cost and its metric.

Inselberg (1985). Drawn as lines of a plain plot, because plotly's own kind needs WebGL, which the page's policy keeps
from building its code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ray_compt.report.card_metadata import metric_name
from ray_compt.report.html.figures.style import BLUE, GREY, ORANGE, figure, text
from ray_compt.sweep.choice import cost_text
from ray_compt.sweep.html.figures.axes import Axis, axis, metric_text, tick_format
from ray_compt.sweep.objective import Objective, cost_words
from ray_compt.sweep.scores import Score

LONGEST = 34
CHARACTER_PX = 7


def parallel(scores: Sequence[Score], objective: Objective) -> go.Figure | None:
    """None where fewer than two candidates count."""
    counted = [one for one in scores if one.counts]
    if len(counted) < 2:
        return None
    axes = axes_of(counted, objective)
    found = figure(460, showlegend=False)
    for number, one in enumerate(counted):
        found.add_scatter(
            x=list(range(len(axes))),
            y=[each.places[number] for each in axes],
            mode="lines+markers",
            connectgaps=True,
            line={"color": colour(axes[-1].places[number] or 0.0), "width": 2},
            marker={"size": 6},
            opacity=0.8,
            customdata=[_shown(one, objective)] * len(axes),
            hovertemplate="%{customdata}<extra></extra>",
        )
    _add_scale(found, counted, objective)
    _write(found, axes)
    return found


def axes_of(counted: Sequence[Score], objective: Objective) -> list[Axis]:
    """The composition, the keys whose values differ, the cost, and last the metric."""
    chains = [" → ".join(one.chain) for one in counted]
    found = [axis("chain", chains)] if len(set(chains)) > 1 else []
    for key in dict.fromkeys(key for one in counted for key in one.values):
        values = [one.values.get(key) for one in counted]
        if any(value != values[0] for value in values):
            found.append(axis(key, values))
    cost = axis(
        cost_words(objective.cost_name),
        [one.cost for one in counted],
        lambda value: cost_text(value, objective),
    )
    metric = axis(
        metric_name(objective.metric),
        [one.metric for one in counted],
        lambda value: metric_text(objective.metric, value),
    )
    return [*found, cost, metric]


def colour(place: float) -> str:
    """From blue at 0 to orange at 1."""
    ends = [[int(end[at : at + 2], 16) for at in (1, 3, 5)] for end in (BLUE, ORANGE)]
    return "#" + "".join(f"{round(low + place * (high - low)):02x}" for low, high in zip(*ends))


def _add_scale(found: go.Figure, counted: Sequence[Score], objective: Objective) -> None:
    """The scale of colours, which plotly draws for markers only: of a trace that shows none."""
    metrics = [one.metric for one in counted]
    found.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        hoverinfo="skip",
        marker={
            "color": [min(metrics)],
            "cmin": min(metrics),
            "cmax": max(metrics),
            "colorscale": [[0, BLUE], [1, ORANGE]],
            "colorbar": {"thickness": 12, "tickformat": tick_format(objective.metric), "x": 1.12},
            "showscale": min(metrics) < max(metrics),
        },
    )


def _write(found: go.Figure, axes: Sequence[Axis]) -> None:
    last = len(axes) - 1
    for number, each in enumerate(axes):
        found.add_shape(
            type="line", x0=number, x1=number, y0=0, y1=1, line={"color": GREY, "width": 1}, layer="below"
        )
        for place, words in each.ticks:
            found.add_annotation(
                x=number,
                y=place,
                text=text(_short(words)),
                showarrow=False,
                xanchor="right" if number == 0 else "left",
                xshift=-8 if number == 0 else 8,
                yshift=0 if number in (0, last) else 9,
                font={"size": 11},
            )
    longest = max(len(_short(words)) for _, words in axes[0].ticks)
    names = [text(_short(each.name)) for each in axes]
    found.update_xaxes(
        tickvals=list(range(len(axes))),
        ticktext=names,
        showgrid=False,
        zeroline=False,
        range=[-0.05, last + 0.05],
    )
    found.update_yaxes(visible=False, range=[-0.08, 1.08])
    found.update_layout(margin={"l": 24 + CHARACTER_PX * longest, "r": 130})


def _short(words: str) -> str:
    return words if len(words) <= LONGEST else f"…{words[1 - LONGEST :]}"


def _shown(one: Score, objective: Objective) -> str:
    facts: dict[str, Any] = {
        metric_name(objective.metric): metric_text(objective.metric, one.metric),
        "cost": cost_text(one.cost, objective),
        **one.values,
    }
    lines = [f"candidate {one.candidate}: {' → '.join(one.chain)}"]
    return "<br>".join(map(text, lines + [f"{key}: {value}" for key, value in facts.items()]))
