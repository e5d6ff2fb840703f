"""Workers over time, with everything that happened to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone

import plotly.graph_objects as go

from ray_compt.report.html.facts import RunFacts, StageEvent
from ray_compt.report.html.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, figure, text
from ray_compt.report.html.timeline import Workers, workers_over_time

# Markers of one kind that are drawn at most; a long run has thousands of checkpoints.
MOST = 500

Words = Callable[[StageEvent], str]


def _started(event: StageEvent) -> str:
    return f"{event.values.get('workers')} workers start at step {event.values.get('step')}"


def _running(event: StageEvent) -> str:
    seconds = event.values.get("seconds")
    parts = seconds.items() if isinstance(seconds, dict) else ()
    return "first step taken; start-up: " + ", ".join(f"{name} {value} s" for name, value in parts)


def _checkpoint(event: StageEvent) -> str:
    return f"checkpoint at step {event.values.get('step')}"


def _resize(event: StageEvent) -> str:
    values = event.values
    return f"{values.get('from')} to {values.get('to')} workers: {values.get('reason')}"


def _pause(event: StageEvent) -> str:
    return f"paused for {event.values.get('pause_s')} s until the checkpoint was committed"


def _failure(event: StageEvent) -> str:
    values = event.values
    counted = f"{values.get('number')} of {values.get('allowed')}" if values.get("counted") else "not counted"
    return f"{values.get('reason')} ({counted})"


def _note(event: StageEvent) -> str:
    return str(event.values.get("text"))


KINDS: dict[str, tuple[str, str, Words]] = {
    "started": ("triangle-right", BLUE, _started),
    "running": ("triangle-right-open", BLUE, _running),
    "checkpoint": ("line-ns-open", GREEN, _checkpoint),
    "resize": ("diamond", PURPLE, _resize),
    "failure": ("x", RED, _failure),
    "note": ("star", ORANGE, _note),
}


def workers(run: RunFacts) -> go.Figure | None:
    """A step line a stage and a marker an event, by the clock (UTC)."""
    stages = [stage for stage in (*run.stages, *_only_alone(run)) if stage.events]
    if not stages:
        return None
    found = figure(340)
    changes: list[Workers] = []
    for stage in stages:
        changes += workers_over_time(stage)
    changes.sort(key=lambda change: change.time)
    found.add_scatter(
        x=[_clock(change.time) for change in changes],
        y=[change.count for change in changes],
        name="workers",
        mode="lines",
        line={"shape": "hv", "color": BLUE, "width": 2},
        fill="tozeroy",
        hoverinfo="skip",
    )
    events = [(stage.name, event) for stage in stages for event in stage.events]
    for kind, (symbol, colour, words) in KINDS.items():
        _add(found, kind, symbol, colour, words, [pair for pair in events if pair[1].kind == kind], changes)
    pauses = [pair for pair in events if pair[1].kind == "resize" and pair[1].values.get("pause_s")]
    _add(found, "pause", "line-ew-open", GREY, _pause, pauses, changes)
    most = max((change.count for change in changes), default=1)
    found.update_yaxes(title_text="workers", range=[-0.1 * most, 1.25 * most], dtick=max(1, most // 8))
    found.update_xaxes(title_text="time (UTC)")
    return found


def _only_alone(run: RunFacts) -> list:
    folders = {stage.folder for stage in run.stages}
    return [stage for stage in run.individual if stage.folder not in folders]


def _add(
    found: go.Figure,
    name: str,
    symbol: str,
    colour: str,
    words: Words,
    events: Sequence[tuple[str, StageEvent]],
    changes: Sequence[Workers],
) -> None:
    if not events:
        return
    shown = events[:: max(1, -(-len(events) // MOST))]
    found.add_scatter(
        x=[_clock(event.time) for _, event in shown],
        y=[_count_before(changes, event.time) for _, event in shown],
        name=name,
        mode="markers",
        marker={"symbol": symbol, "color": colour, "size": 11, "line": {"width": 2}},
        customdata=[[text(stage), text(words(event))] for stage, event in shown],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<br>%{x|%H:%M:%S}<extra></extra>",
    )


def _count_before(changes: Sequence[Workers], time: float) -> int:
    """Workers at a moment; those that an event has just ended still count."""
    earlier = [change.count for change in changes if change.time < time]
    same = [change.count for change in changes if change.time == time]
    return max(same + earlier[-1:], default=0)


def _clock(time: float) -> str:
    return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
