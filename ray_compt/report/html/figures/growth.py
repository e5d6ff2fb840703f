"""What growth hands over: a metric of the predecessor, of the grown and still untrained model, and after training."""

from __future__ import annotations

import plotly.graph_objects as go

from ray_compt.report.card_metadata import metric_name
from ray_compt.report.html.facts import RunFacts, StageFacts
from ray_compt.report.html.figures.accuracy import metric_keys
from ray_compt.report.html.figures.style import BLUE, GREEN, GREY, ORANGE, figure, text


def growth(run: RunFacts) -> go.Figure | None:
    """Groups of bars, one a grown stage."""
    pairs = [pair for pair in zip(run.stages, run.stages[1:]) if pair[1].grown_metrics]
    keys = [key for key in metric_keys([run]) if any(key in stage.grown_metrics for _, stage in pairs)]
    if not pairs or not keys:
        return None
    key = keys[0]
    alone = {stage.name: stage for stage in run.individual}
    bars = (
        ("its predecessor", GREY, [_value(before, key) for before, _ in pairs]),
        ("just grown, untrained", GREEN, [stage.grown_metrics.get(key) for _, stage in pairs]),
        ("at the end of its stage", BLUE, [_value(stage, key) for _, stage in pairs]),
        ("trained alone", ORANGE, [_value(alone.get(stage.name), key) for _, stage in pairs]),
    )
    found = figure(340, barmode="group", bargap=0.3)
    for name, colour, values in bars:
        if any(value is not None for value in values):
            found.add_bar(
                x=[text(stage.name) for _, stage in pairs],
                y=values,
                name=name,
                marker={"color": colour},
                texttemplate="%{y:.1%}",
                hovertemplate="%{x}<br>%{fullData.name}: %{y:.1%}<extra></extra>",
            )
    found.update_yaxes(title_text=text(metric_name(key)), tickformat=".0%")
    return found


def _value(stage: StageFacts | None, key: str) -> float | None:
    return None if stage is None else stage.metrics.get(key)
