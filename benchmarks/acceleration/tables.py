"""The results as Markdown tables. Every table names its columns once, in its own function."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmarks.acceleration.analysis import Payoff, Spread, difference, payoffs, repeated, seeds, spread
from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.grid import PARTS, tuned_sizes, whole_stage
from benchmarks.acceleration.results import Results

TERA = 1e12
# What controls and options may change.
SETTINGS = ("size", "epochs", "growth", "weight", "lr", "warmup", "noise", "stop_at", "decay", "optimizer")


def alone_table(results: Results) -> str:
    """Each size alone, by budget."""
    rows = [
        [cell.size, f"{cell.epochs:g}", f"{cell.lr:g}", *_found(results, cell)]
        for cell in part_cells(results, "frontier")
    ]
    return table(["size", "epochs", "lr", "MACs, 10^12", "R@1, %", "seeds"], rows)


def chain_table(results: Results) -> str:
    """Each chain against its models alone at equal accuracy."""
    rows = [_chain_row(results, last) for last in part_cells(results, "chain")]
    heads = ["chain", "MACs, 10^12", "R@1 by stage, %", "acceleration", "cost / last alone, %", "seeds"]
    return table(heads, sorted(rows, key=lambda row: (row[0].count("->"), float(row[1]))))


def part_table(results: Results, part: str) -> str:
    """The controls, or the options, against the stage from which they differ."""
    heads = ["training", "MACs, 10^12", "R@1, %", "seeds", "against the stage"]
    if not part_cells(results, part):
        return table(heads, [])
    whole = whole_stage(results, 0)
    rows = [["the stage", *_found(results, whole), ""]]
    for cell in part_cells(results, part):
        better = _percent(difference(results, cell, whole))
        sign = "" if better.startswith("-") else "+"
        rows.append([_changes(whole, cell), *_found(results, cell), sign + better])
    return table(heads, rows)


def part_cells(results: Results, part: str) -> list[Cell]:
    """A part's trainings with seed 0, as far as they are done."""
    sizes = tuned_sizes(results)
    try:
        return [cell for cell in PARTS[part](results, 0, sizes) if cell in results]
    except KeyError:
        # What this part depends on is not there yet.
        return []


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _found(results: Results, cell: Cell) -> list[str]:
    macs = f"{results[cell]['macs'] / TERA:.2f}"
    return [macs, _percent(repeated(results, cell)), f"{len(seeds(results, cell))}"]


def _chain_row(results: Results, last: Cell) -> list[str]:
    return [
        last.path,
        f"{sum(results[cell]['macs'] for cell in last.lineage()) / TERA:.2f}",
        ", ".join(_percent(repeated(results, cell)) for cell in last.lineage()),
        *_paid_off(payoffs(results, last)),
        f"{len(seeds(results, last))}",
    ]


def _paid_off(found: Sequence[Payoff]) -> list[str]:
    """Acceleration, and cost over the last model's; empty where a model alone is still to be trained."""
    if not found:
        return ["", ""]
    sign = _sign(found)
    return [
        sign + _with_half(spread([one.acceleration for one in found]), 2),
        {"<": ">", ">": "<"}.get(sign, sign) + _percent(spread([one.share for one in found])),
    ]


def _sign(payoffs: Sequence[Payoff]) -> str:
    signs = {one.sign for one in payoffs} - {""}
    return "" if not signs else signs.pop() if len(signs) == 1 else "?"


def _changes(whole: Cell, cell: Cell) -> str:
    changed = [name for name in SETTINGS if getattr(whole, name) != getattr(cell, name)]
    return ", ".join(f"{name} {_plain(getattr(cell, name))}" for name in changed)


def _plain(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _percent(value: Spread) -> str:
    return _with_half(Spread(100 * value.mean, 100 * value.half, value.count), 1)


def _with_half(value: Spread, digits: int) -> str:
    text = f"{value.mean:.{digits}f}"
    return text if math.isnan(value.half) else f"{text} ± {value.half:.{digits}f}"
