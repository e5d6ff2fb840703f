"""A table for people: with lines on a terminal, aligned plain text elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text; the first column is aligned to the left, the others, numbers mostly, to the right."""
    if console.is_terminal:
        _print_lined(console, title, columns, rows)
        return
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(columns))]
    console.print(Text(title), soft_wrap=True)
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths)]
        console.print(Text("  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip()), soft_wrap=True)


def _print_lined(console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
