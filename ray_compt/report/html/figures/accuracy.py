"""Accuracy against what it cost, chain against individual training: the plot by which the method is judged.

A chain's points lie at the cost of all its stages so far. A model trained alone has two: at its own cost, and, on the
dotted line, at that of the family trained one after the other. What was not trained alone is only a planned cost, a
vertical line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ray_compt.plan import format_count
from ray_compt.report.card_metadata import COUNT, metric_name
from ray_compt.report.html.facts import RunFacts, StageFacts
from ray_compt.report.html.figures.style import run_colour, text, with_layout

FIRST_METRICS = ("zero_shot_top1", "image_to_text_r1", "text_to_image_r1")
COSTS: tuple[tuple[str, Callable[[StageFacts], float]], ...] = (
    ("training MACs", lambda stage: stage.macs),
    ("seconds", lambda stage: stage.seconds),
)


@dataclass(frozen=True)
class _Point:
    """A measured model: what it cost, which metrics it has, what the cursor shows."""

    cost: float
    metrics: dict[str, float]
    label: str
    grown: bool = False


@dataclass(frozen=True)
class _Line:
    """Points that belong together, and how they are drawn."""

    name: str
    points: Sequence[_Point]
    style: dict[str, Any]


def metric_keys(runs: Sequence[RunFacts]) -> list[str]:
    """Metrics that are fractions, those that the paper reports first."""
    stages = [stage for run in runs for stage in (*run.stages, *run.individual)]
    found = dict.fromkeys(
        key for stage in stages for key, value in stage.metrics.items() if key != COUNT and 0 <= value <= 1
    )
    return [key for key in FIRST_METRICS if key in found] + [key for key in found if key not in FIRST_METRICS]


def accuracy(runs: Sequence[RunFacts]) -> go.Figure | None:
    """Every metric against MACs, left, and against seconds, right; a menu chooses the metric."""
    keys = metric_keys(runs)
    if not keys:
        return None
    found = make_subplots(cols=2, shared_yaxes=True, horizontal_spacing=0.03)
    drawn: list[Sequence[_Point]] = []
    for column, (title, cost) in enumerate(COSTS, start=1):
        found.update_xaxes(title_text=title, rangemode="tozero", col=column)
        for number, run in enumerate(runs):
            prefix = f"{run.name} ({run.path}): " if len(runs) > 1 else ""
            for line in _lines(
                run, cost, run_colour(2 * number if len(runs) == 1 else number), len(runs) == 1
            ):
                found.add_trace(_trace(line, keys[0], text(prefix + line.name), column), row=1, col=column)
                drawn.append(line.points)
    if len(runs) == 1 and not runs[0].finetuned:
        _draw_plan(found, runs[0])
    found.update_yaxes(tickformat=".0%")
    found.update_yaxes(title_text=metric_name(keys[0]), col=1)
    return with_layout(found, 460, updatemenus=[_menu(keys, drawn)] if len(keys) > 1 else [])


def _lines(
    run: RunFacts, cost: Callable[[StageFacts], float], colour: str, alone_in_page: bool
) -> Iterator[_Line]:
    other = run_colour(1) if alone_in_page else colour
    chain = {"mode": "lines+markers", "line": {"color": colour, "width": 3}}
    yield _Line("fine-tuned" if run.finetuned else "chain", _chain_points(run, cost), chain)
    done = [stage for stage in run.individual if stage.done]
    if not done:
        return
    alone = {"mode": "markers", "marker": {"color": other, "symbol": "diamond", "size": 12}}
    yield _Line("each model alone, at its own cost", [_point(stage, cost(stage)) for stage in done], alone)
    if len(done) > 1:
        family = {
            "mode": "lines+markers",
            "line": {"color": other, "dash": "dot"},
            "marker": {"symbol": "diamond-open", "size": 9},
        }
        sums = accumulate(map(cost, done))
        points = [_point(stage, total) for stage, total in zip(done, sums)]
        yield _Line("the family alone, one after the other", points, family)


def _chain_points(run: RunFacts, cost: Callable[[StageFacts], float]) -> list[_Point]:
    points, spent = [], 0.0
    for stage in run.stages:
        if stage.grown_metrics:
            points.append(_Point(spent, dict(stage.grown_metrics), f"{stage.name}, just grown", grown=True))
        spent += cost(stage)
        if stage.done:
            points.append(_point(stage, spent))
    return points


def _point(stage: StageFacts, cost: float) -> _Point:
    return _Point(cost, dict(stage.metrics), stage.name)


def _trace(line: _Line, key: str, name: str, column: int) -> go.Scatter:
    found = go.Scatter(
        x=[point.cost for point in line.points],
        y=_values(line.points, key),
        name=name,
        legendgroup=name,
        showlegend=column == 1,
        customdata=[[text(point.label), format_count(round(point.cost))] for point in line.points],
        hovertemplate="%{customdata[0]}<br>%{y:.1%} at %{customdata[1]}<extra></extra>",
        **line.style,
    )
    if "line" in line.style and "marker" not in line.style:
        found.marker = {
            "symbol": ["circle-open" if point.grown else "circle" for point in line.points],
            "size": [8 if point.grown else 12 for point in line.points],
        }
    return found


def _values(points: Sequence[_Point], key: str) -> list[float | None]:
    return [point.metrics.get(key) for point in points]


def _menu(keys: Sequence[str], drawn: Sequence[Sequence[_Point]]) -> dict[str, Any]:
    buttons = [
        {
            "label": text(metric_name(key)),
            "method": "update",
            "args": [
                {"y": [_values(points, key) for points in drawn]},
                {"yaxis.title.text": text(metric_name(key))},
            ],
        }
        for key in keys
    ]
    return {
        "buttons": buttons,
        "x": 1,
        "xanchor": "right",
        "y": 1.02,
        "yanchor": "bottom",
        "showactive": True,
    }


def _draw_plan(found: go.Figure, run: RunFacts) -> None:
    """Planned costs of what was not trained alone."""
    last = len(run.stages) - 1
    if run.alone_is_measured:
        return
    lines = {f"{run.stages[last].name} alone (planned)": run.alone_macs(last)}
    if last:
        lines["the family alone (planned)"] = run.family_alone_macs
    for place, (label, macs) in enumerate(lines.items()):
        found.add_vline(
            x=macs,
            line={"color": run_colour(1), "dash": "dot"},
            annotation={"text": text(label), "yref": "paper", "y": 0.06 + 0.08 * place, "xanchor": "right"},
            row=1,
            col=1,
        )
