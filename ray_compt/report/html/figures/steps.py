"""Plots over the optimizer steps of a whole chain: its stages one after the other on one axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from ray_compt.report.html.facts import Curves, RunFacts, StageFacts
from ray_compt.report.html.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, text, with_layout

Number = float | None
Values = Callable[[Curves], Sequence[Number]]


@dataclass(frozen=True)
class _Curve:
    name: str
    colour: str
    values: Values
    fill: str | None = None


@dataclass(frozen=True)
class _Row:
    """One of several plots above each other."""

    title: str
    curves: tuple[_Curve, ...]
    kind: str = "linear"
    format: str | None = None


def recorded(name: str) -> Values:
    return lambda curves: curves.values.get(name, [None] * len(curves.steps))


def samples_per_second(curves: Curves) -> list[Number]:
    """Samples used in a second of a run of steps, waiting included."""
    pairs = zip(recorded("read")(curves), recorded("step_ms")(curves))
    return [None if read is None or not ms else 1000 * read / ms for read, ms in pairs]


def share(name: str) -> Values:
    """A part of the time of a run of steps, as a fraction."""

    def shares(curves: Curves) -> list[Number]:
        pairs = zip(recorded(name)(curves), recorded("step_ms")(curves))
        return [None if part is None or not ms else min(1.0, part / ms) for part, ms in pairs]

    return shares


LOSSES = (
    _Row(
        "loss",
        (
            _Curve("task", BLUE, recorded("task_loss")),
            _Curve("distillation, times its weight", GREEN, recorded("distill_loss")),
        ),
    ),
    _Row("learning rate", (_Curve("learning rate", ORANGE, recorded("lr")),)),
    _Row("gradient norm", (_Curve("gradient norm", PURPLE, recorded("grad_norm")),), kind="log"),
)
SPEED = (
    _Row("samples/s", (_Curve("samples/s", BLUE, samples_per_second),)),
    _Row(
        "share of a step",
        (
            _Curve("waiting for data", ORANGE, share("data_ms"), "tozeroy"),
            _Curve("waiting for teachers", GREEN, share("teacher_ms"), "tozeroy"),
        ),
        format=".0%",
    ),
)


def losses(run: RunFacts) -> go.Figure | None:
    """Losses, learning rate and the gradient's norm; the models trained alone can be switched on."""
    return _over_steps(run, LOSSES)


def speed(run: RunFacts) -> go.Figure | None:
    """Samples a second, and what part of each step the first worker waited."""
    return _over_steps(run, SPEED)


def _over_steps(run: RunFacts, rows: Sequence[_Row]) -> go.Figure | None:
    begun = [stage for stage in run.stages if stage.curves.steps]
    starts = [0, *accumulate(stage.curves.steps[-1] for stage in begun)]
    rows = [row for row in rows if any(_any(curve.values(s.curves)) for s in begun for curve in row.curves)]
    if not rows:
        return None
    found = make_subplots(rows=len(rows), shared_xaxes=True, vertical_spacing=0.06)
    for number, row in enumerate(rows, start=1):
        for curve in row.curves:
            _add_chain(found, number, curve, begun, starts)
        found.update_yaxes(title_text=row.title, type=row.kind, tickformat=row.format, row=number)
    chain_folders = {stage.folder for stage in run.stages}
    for stage in run.individual:
        if stage.folder not in chain_folders:
            _add_alone(found, rows, stage)
    _mark_stages(found, begun, starts)
    found.update_xaxes(title_text="optimizer steps of the chain", row=len(rows))
    return with_layout(found, 120 + 170 * len(rows), hoversubplots="axis")


def _add_chain(
    found: go.Figure, row: int, curve: _Curve, begun: Sequence[StageFacts], starts: Sequence[int]
) -> None:
    x: list[Number] = []
    y: list[Number] = []
    for start, stage in zip(starts, begun):
        # A gap, so that no line joins two stages.
        x += [*(start + step for step in stage.curves.steps), None]
        y += [*curve.values(stage.curves), None]
    if _any(y):
        found.add_scatter(
            x=x,
            y=y,
            name=curve.name,
            mode="lines",
            fill=curve.fill,
            line={"color": curve.colour, "width": 1.5},
            row=row,
            col=1,
        )


def _add_alone(found: go.Figure, rows: Sequence[_Row], stage: StageFacts) -> None:
    name = f"{text(stage.name)} alone, its own steps"
    for number, row in enumerate(rows, start=1):
        values = row.curves[0].values(stage.curves)
        if _any(values):
            found.add_scatter(
                x=stage.curves.steps,
                y=values,
                name=name,
                legendgroup=name,
                showlegend=number == 1,
                visible="legendonly",
                mode="lines",
                line={"width": 1.5},
                row=number,
                col=1,
            )


def _mark_stages(found: go.Figure, begun: Sequence[StageFacts], starts: Sequence[int]) -> None:
    for start, stage in zip(starts, begun):
        if start:
            found.add_vline(x=start, line={"color": GREY, "dash": "dot", "width": 1})
        found.add_annotation(
            text=text(stage.name),
            x=start,
            xanchor="left",
            xref="x",
            yref="y domain",
            y=1,
            yanchor="top",
            showarrow=False,
            font={"color": GREY},
        )


def _any(values: Sequence[Number]) -> bool:
    return any(value is not None for value in values)
