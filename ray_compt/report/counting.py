"""A progress bar for work that is counted: one line a phase on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Called with how many more are done.
Count = Callable[[int], None]
# Called with what comes next and how many of it.
Begin = Callable[[str, int], Count]


@contextmanager
def counting(console: Console, title: str) -> Iterator[Begin]:
    """Gives a function that begins a phase, the one before being over."""
    if not console.is_terminal:
        yield lambda _phase, _total: lambda _count: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:

        def begin(phase: str, total: int) -> Count:
            for known in bar.task_ids:
                bar.remove_task(known)
            task = bar.add_task(f"{title}: {phase}", total=total)
            return lambda count: bar.advance(task, count)

        yield begin
