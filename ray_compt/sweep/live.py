"""A sweep while it runs: a table on a terminal, elsewhere one line each time that a trial goes on to another stage or
ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ray_compt.plan.table import format_count
from ray_compt.report.card_metadata import metric_value
from ray_compt.report.terminal import Terminal, plural
from ray_compt.sweep.candidate import short_keys
from ray_compt.sweep.choice import choose, cost_text, values_text
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import SweepRecord, TrialRecord
from ray_compt.sweep.scores import score, trial_cost

COLUMNS = ("trial", "chain", "values", "seed", "state", "metric", "cost", "saved")
# Rows that a screen holds.
SHOWN = 16
LONGEST = 48


class LiveTable:
    """Shows a record each time that it has changed."""

    def __init__(self, console: Console):
        self._console, self._terminal = console, Terminal(console)
        self._live: Live | None = None
        self._told: dict[int, str] | None = None

    @contextmanager
    def shown(self) -> Iterator[LiveTable]:
        """Hold the screen meanwhile, where there is one; the table vanishes at the end."""
        if not self._console.is_terminal:
            yield self
            return
        with Live(console=self._console, transient=True, auto_refresh=False) as live:
            self._live = live
            try:
                yield self
            finally:
                self._live = None

    def update(self, record: SweepRecord, planned: int | None = None) -> None:
        """Show the sweep as it is now.

        Args:
            record: the sweep.
            planned: trials that there will be; by default those on record.
        """
        if self._live is not None:
            self._live.update(_drawn(record, planned), refresh=True)
            return
        if self._told is None:
            self._told = self._begin(record, planned)
        for trial in record.trials:
            words = describe(trial, record.objective)
            if words != self._told.get(trial.number, ""):
                self._told[trial.number] = words
                self._terminal.line(f"  {words}")
                if trial.ended:
                    self._terminal.line(f"  {summary(record, planned)}")

    def _begin(self, record: SweepRecord, planned: int | None) -> dict[int, str]:
        """What need not be told of a sweep that goes on: the trials that had ended, but for one line about all."""
        ended = [trial for trial in record.trials if trial.ended]
        if ended:
            self._terminal.line(f"  {summary(record, planned)}")
        return {trial.number: describe(trial, record.objective) for trial in ended}


def rows(record: SweepRecord, most: int = SHOWN) -> list[tuple[str, ...]]:
    """Cells in the order of `COLUMNS`, by number; of more than `most` trials those that run and the last that ended."""
    running = [trial for trial in record.trials if trial.state == "running"]
    ended = [trial for trial in record.trials if trial.ended]
    last = ended[max(0, len(ended) + len(running) - most) :]
    kept = {trial.number for trial in (*running, *last)}
    few = len(record.trials) <= most
    return [_row(trial, record.objective) for trial in record.trials if few or trial.number in kept]


def describe(trial: TrialRecord, objective: Objective) -> str:
    """Where a trial is, in one line; empty where it has not begun."""
    if trial.state == "pending":
        return ""
    head = f"trial {trial.number} ({' → '.join(trial.chain)}, seed {trial.seed})"
    if trial.state == "failed":
        return f"{head}: failed: {' '.join((trial.error or 'no reason given').split())}"
    saved = f", {format_count(trial.macs_saved)} MACs saved" if trial.ended and trial.macs_saved else ""
    reached = f", {_metric(trial, objective)} at {_cost(trial, objective)}" if trial.state == "done" else ""
    return f"{head}: {_stage(trial)}{reached}{saved}"


def summary(record: SweepRecord, planned: int | None = None) -> str:
    """How far a sweep is, its best, its cost and the time that is left, in one line."""
    total = max(planned or 0, len(record.trials))
    counts = [f"{record.count('done')}/{total} trials done"]
    counts += [
        f"{count} {state}" for state in ("pruned", "failed", "running") if (count := record.count(state))
    ]
    winner = choose(score(record.trials, record.objective), record.objective).winner
    best = "none yet"
    if winner is not None:
        reached = metric_value(record.objective.metric, winner.metric)
        best = f"candidate {winner.candidate} with {reached} at {cost_text(winner.cost, record.objective)}"
    cost = f"{format_count(record.macs_paid)} MACs paid, {format_count(record.macs_saved)} saved"
    left = seconds_left(record, planned)
    time = "" if left is None else f"; about {duration(left)} left"
    return f"{', '.join(counts)}; best: {best}; {cost}{time}"


def seconds_left(record: SweepRecord, planned: int | None = None) -> float | None:
    """An estimate of the wall-clock time to the end; None before a trial has ended, 0 when all have.

    What a trial that ended took on average, for each that has not, less what running ones have taken, shared by those
    that run at once. Seconds are those that trials trained for, so that the time between two starts of a sweep does
    not count; stages that were reused take none.
    """
    ended = [trial for trial in record.trials if trial.ended]
    running = [trial for trial in record.trials if trial.state == "running"]
    open_ = max(planned or 0, len(record.trials)) - len(ended)
    if open_ == 0:
        return 0.0
    if not ended:
        return None
    each = sum(trial.seconds_paid for trial in ended) / len(ended)
    waiting = each * (open_ - len(running))
    begun = sum(max(0.0, each - trial.seconds_paid) for trial in running)
    return (waiting + begun) / max(1, len(running))


def duration(seconds: float) -> str:
    """ "45 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def _drawn(record: SweepRecord, planned: int | None) -> Group:
    found = rows(record)
    title = f"sweep {record.name}: {record.objective.words()}"
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="left" if 0 < number < 5 else "right")
    for row in found:
        table.add_row(*map(Text, row))
    hidden = len(record.trials) - len(found)
    notes = [Text(f"{plural(hidden, 'more trial')} not shown")] if hidden else []
    return Group(table, *notes, Text(summary(record, planned)))


def _row(trial: TrialRecord, objective: Objective) -> tuple[str, ...]:
    values = values_text(trial.values, short_keys(list(trial.values)))
    begun = bool(trial.stages)
    return (
        str(trial.number),
        " → ".join(trial.chain),
        values if len(values) <= LONGEST else f"{values[: LONGEST - 1]}…",
        str(trial.seed),
        _stage(trial),
        _metric(trial, objective),
        _cost(trial, objective) if begun else "-",
        format_count(trial.macs_saved) if begun else "-",
    )


def _stage(trial: TrialRecord) -> str:
    """Its state; of a running trial the stage."""
    if trial.state != "running":
        return trial.state
    stage = next((stage for stage in trial.stages if stage.state == "running"), None)
    return f"{stage.name} runs" if stage else "running"


def _metric(trial: TrialRecord, objective: Objective) -> str:
    value = trial.metrics.get(objective.metric) if trial.state == "done" else None
    return "-" if value is None else metric_value(objective.metric, value)


def _cost(trial: TrialRecord, objective: Objective) -> str:
    return cost_text(trial_cost(trial, objective), objective)
