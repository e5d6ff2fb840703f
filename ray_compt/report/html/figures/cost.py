"""What each stage cost: the student's MACs and its teachers', beside those of the same model trained alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from ray_compt.plan import format_count
from ray_compt.report.html.facts import RunFacts
from ray_compt.report.html.figures.style import BLUE, GREEN, ORANGE, figure, text


def cost(run: RunFacts) -> go.Figure | None:
    """Two bars a stage, the chain's stacked; a hatched bar is planned, not spent. None where no chain was trained."""
    if run.finetuned:
        return None
    found = figure(360, barmode="stack", bargap=0.35)
    stages = run.stages
    student = [
        stage.student_macs if stage.steps else run.cost.stages[n].student_macs
        for n, stage in enumerate(stages)
    ]
    teacher = [
        stage.teacher_macs if stage.steps else run.cost.stages[n].teacher_macs
        for n, stage in enumerate(stages)
    ]
    spent = [stage.steps > 0 for stage in stages]
    names = [text(stage.name) for stage in stages]
    _add(found, names, student, spent, name="student", color=BLUE, group="chain")
    if any(teacher):
        _add(found, names, teacher, spent, name="teachers", color=GREEN, group="chain")
    alone = [run.alone_macs(number) for number in range(len(stages))]
    trained = [number < len(run.individual) and run.individual[number].done for number in range(len(stages))]
    label = "the model alone" if all(trained) else "the model alone (hatched: planned)"
    _add(found, names, alone, trained, name=label, color=ORANGE, group="alone")
    found.update_yaxes(title_text="training MACs")
    return found


def _add(
    found: go.Figure,
    names: Sequence[str],
    macs: Sequence[int],
    spent: Sequence[bool],
    *,
    group: str,
    **look: Any,
) -> None:
    found.add_bar(
        x=names,
        y=macs,
        name=look["name"],
        offsetgroup=group,
        marker={"color": look["color"], "pattern": {"shape": ["" if real else "/" for real in spent]}},
        customdata=[
            f"{format_count(value)}{'' if real else ' (planned)'}" for value, real in zip(macs, spent)
        ],
        hovertemplate="%{x}<br>%{fullData.name}: %{customdata}<extra></extra>",
    )
