"""What evaluations found, task by task: accuracy with its confidence intervals, calibration, and worse pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ray_compt.report.card_metadata import metric_name
from ray_compt.report.html.facts import RunFacts, TaskFacts
from ray_compt.report.html.figures.style import figure, run_colour, text, with_layout

ECE, CLEAN = "ece", "clean"
# Plots beside each other.
COLUMNS = 3


@dataclass(frozen=True)
class _Model:
    """A model that was measured.

    Attributes:
        tasks: by name.
        alone: trained alone; it has the colour of the stage that it is held against.
    """

    name: str
    colour: str
    alone: bool
    tasks: dict[str, TaskFacts]


def intervals(run: RunFacts) -> go.Figure | None:
    """A row for each metric of a task that says how accurate, a point for each model, its interval as a bar."""
    models = list(_models(run))
    rows = _unique((name, metric) for one in models for name in one.tasks for metric in _shown(one, name))
    if not rows:
        return None
    found = figure(110 + len(rows) * max(36, 15 * len(models)), scattermode="group", scattergap=0.3)
    for model in models:
        mine = [(name, metric) for name, metric in rows if metric in _shown(model, name)]
        values = [model.tasks[name].metrics[metric] for name, metric in mine]
        ends = [model.tasks[name].intervals.get(metric) for name, metric in mine]
        found.add_scatter(
            x=values,
            y=[_row(name, metric) for name, metric in mine],
            orientation="h",
            mode="markers",
            name=text(model.name),
            offsetgroup=text(model.name),
            marker={
                "color": model.colour,
                "size": 9,
                "symbol": "diamond-open" if model.alone else "circle",
            },
            error_x=_bars(values, ends),
            customdata=[[_interval_words(one)] for one in ends],
            hovertemplate="%{y}<br>%{fullData.name}: %{x:.1%}%{customdata[0]}<extra></extra>",
        )
    order = [_row(name, metric) for name, metric in rows]
    found.update_xaxes(tickformat=".0%", title_text="share of right answers")
    found.update_yaxes(type="category", categoryorder="array", categoryarray=order[::-1])
    return found


def calibration(run: RunFacts) -> go.Figure | None:
    """Bars of the expected calibration error, a group for each task that has one."""
    models = list(_models(run))
    names = _unique(name for one in models for name, task in one.tasks.items() if ECE in task.metrics)
    if not names:
        return None
    found = figure(300, barmode="group", bargap=0.3)
    for model in models:
        mine = [name for name in names if name in model.tasks and ECE in model.tasks[name].metrics]
        found.add_bar(
            x=[text(name) for name in mine],
            y=[model.tasks[name].metrics[ECE] for name in mine],
            name=text(model.name),
            marker=_filling(model),
            hovertemplate="%{x}<br>%{fullData.name}: %{y:.3f}<extra></extra>",
        )
    found.update_yaxes(title_text="calibration error", rangemode="tozero")
    return found


def robustness(run: RunFacts) -> go.Figure | None:
    """A small plot for each task: its first accuracy on clean pictures and under each corruption."""
    measured = [(one, task) for one in _models(run) for task in one.tasks.values() if _corrupted(task)]
    names = _unique(task.name for _, task in measured)
    if not names:
        return None
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    titles = [_title(next(task for _, task in measured if task.name == name)) for name in names]
    found = make_subplots(rows=rows, cols=columns, shared_yaxes=True, subplot_titles=titles)
    named: set[str] = set()
    for model, task in measured:
        place = names.index(task.name)
        bars = _corruption_bars(model, task, first=model.name not in named)
        found.add_trace(bars, row=place // columns + 1, col=place % columns + 1)
        named.add(model.name)
    found.update_yaxes(tickformat=".0%", rangemode="tozero")
    return with_layout(found, 80 + 260 * rows, barmode="group", bargap=0.25)


def _corruption_bars(model: _Model, task: TaskFacts, *, first: bool) -> go.Bar:
    metric = _accuracies(task)[0]
    worse = {name: metrics[metric] for name, metrics in task.corruptions.items() if metric in metrics}
    values = [task.metrics[metric], *worse.values()]
    return go.Bar(
        x=[text(name.replace("_", " ")) for name in (CLEAN, *worse)],
        y=values,
        name=text(model.name),
        legendgroup=text(model.name),
        offsetgroup=text(model.name),
        showlegend=first,
        marker=_filling(model),
        error_y=_bars(values, [task.intervals.get(metric), *[None] * len(worse)]),
        hovertemplate=f"%{{x}}<br>%{{fullData.name}}: {text(metric_name(metric))} %{{y:.1%}}<extra></extra>",
    )


def _models(run: RunFacts) -> Iterator[_Model]:
    """Every stage with an evaluation, and after it the same model alone, where that is another one."""
    alone = {stage.name: stage for stage in run.individual}
    for number, stage in enumerate(run.stages):
        colour, other = run_colour(number), alone.get(stage.name)
        if stage.tasks:
            yield _Model(stage.name, colour, False, {task.name: task for task in stage.tasks})
        if other is not None and other.folder != stage.folder and other.tasks:
            yield _Model(f"{other.name} alone", colour, True, {task.name: task for task in other.tasks})


def _shown(model: _Model, name: str) -> list[str]:
    """A task's metrics that have an interval; of one without any, those that say how accurate it is."""
    task = model.tasks.get(name)
    if task is None:
        return []
    return [metric for metric in task.metrics if metric in task.intervals] or _accuracies(task)


def _accuracies(task: TaskFacts) -> list[str]:
    """Its metrics of which more is better, the first the one to look at."""
    wanted = [metric for metric in task.metrics if metric.startswith("top1") and not metric.endswith("_std")]
    return wanted or [metric for metric in task.metrics if metric.endswith("_r1")]


def _corrupted(task: TaskFacts) -> bool:
    first = _accuracies(task)[:1]
    return any(metric in metrics for metric in first for metrics in task.corruptions.values())


def _bars(values: Sequence[float], ends: Sequence[tuple[float, float] | None]) -> dict[str, Any]:
    """Plotly's error bars; a point without an interval has none."""
    return {
        "type": "data",
        "symmetric": False,
        "array": [None if one is None else max(0.0, one[1] - value) for value, one in zip(values, ends)],
        "arrayminus": [None if one is None else max(0.0, value - one[0]) for value, one in zip(values, ends)],
        "thickness": 1.5,
    }


def _interval_words(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else f" ({100 * ends[0]:.1f} to {100 * ends[1]:.1f} %)"


def _filling(model: _Model) -> dict[str, Any]:
    return {"color": model.colour, "opacity": 0.45 if model.alone else 1.0}


def _row(name: str, metric: str) -> str:
    return text(f"{name}: {metric_name(metric)}")


def _title(task: TaskFacts) -> str:
    severity = [] if task.severity is None else [f"severity {task.severity}"]
    return text(", ".join([task.name, metric_name(_accuracies(task)[0]), *severity]))


def _unique(values: Any) -> list[Any]:
    return list(dict.fromkeys(values))
