"""The terminal: one progress bar a stage, one line an event, one table at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from ray_compt.report.table import print_table

PLAIN_INTERVAL_S = 10.0
BAD_SAMPLES_NAMED = 5


class Terminal:
    """Prints to a console; without a terminal the bar becomes a plain line every ten seconds."""

    def __init__(self, console: Console):
        self._console = console

    def line(self, text: str) -> None:
        """Print one event."""
        self._console.print(Text(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        self._console.print(Text(f"! {text}", style="yellow"), soft_wrap=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows of text; all but the first column are numbers, mostly."""
        print_table(self._console, title, columns, rows)

    @contextmanager
    def stage(self, name: str, steps: int) -> Iterator[StageLines]:
        """Show a stage of `steps` steps while it runs."""
        lines = StageLines(self, name, steps)
        if not self._console.is_terminal:
            yield lines
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.completed}/{task.total}"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            lines.attach(bar, bar.add_task(name, total=steps, numbers="starting"))
            yield lines


@dataclass(frozen=True)
class _Resize:
    """A change of the workers under way, since `since` (monotonic seconds); `step` once the new ones are there."""

    before: int
    after: int
    reason: str
    since: float
    step: int | None = None

    def __str__(self) -> str:
        workers = f"from {self.before} to {plural(self.after, 'worker')}"
        took = time.monotonic() - self.since
        return f"{workers} at step {self.step}, because {self.reason}; training stood still for {took:.1f} s"


class StageLines:
    """Turns a stage's progress and notes into a bar and lines."""

    def __init__(self, terminal: Terminal, name: str, steps: int):
        self._terminal, self._name, self._steps = terminal, name, steps
        self._bar: tuple[Progress, TaskID] | None = None
        self._printed = time.monotonic()
        self._bad = 0
        self._resize: _Resize | None = None

    def attach(self, bar: Progress, task: TaskID) -> None:
        self._bar = (bar, task)

    def started(self, workers: int, step: int) -> None:
        """Workers are about to take their first step, which is not the stage's first where `step` is above 0."""
        if self._resize is not None:
            self._resize = replace(self._resize, step=step)
        elif step:
            self._terminal.line(f"  {self._name}: goes on at step {step} with {plural(workers, 'worker')}")

    def resize(self, before: int, after: int, reason: str) -> None:
        """The workers are about to be replaced, after a checkpoint."""
        self._resize = _Resize(before, after, reason, time.monotonic())

    def failure(self, reason: str, number: int, allowed: int, counted: bool) -> None:
        self._resize = None
        how = f"failure {number} of {allowed} since the last checkpoint" if counted else "not counted"
        self._terminal.warn(f"{self._name}: {reason} ({how})")

    def note(self, text: str) -> None:
        self._terminal.warn(f"{self._name}: {text}")

    def progress(self, step: int, loss: float, samples_per_second: float) -> None:
        if self._resize is not None and self._resize.step is not None:
            self._terminal.line(f"  {self._name}: {self._resize}")
            self._resize = None
        numbers = f"loss {loss:.3f}  {samples_per_second:.0f} samples/s"
        if self._bar is not None:
            bar, task = self._bar
            bar.update(task, completed=step, numbers=numbers)
        elif time.monotonic() - self._printed > PLAIN_INTERVAL_S:
            self._printed = time.monotonic()
            self._terminal.line(f"  {self._name}: step {step}/{self._steps}  {numbers}")

    def bad_sample(self, key: str, reason: str) -> None:
        self._bad += 1
        if self._bad <= BAD_SAMPLES_NAMED:
            self._terminal.warn(f"{self._name}: sample {key} cannot be read: {reason}")
        elif self._bad == BAD_SAMPLES_NAMED + 1:
            self._terminal.warn(
                f"{self._name}: more samples cannot be read; bad_samples.jsonl names them all"
            )


def plural(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def percent(fraction: Any) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"
