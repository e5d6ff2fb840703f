"""The two figures of docs/results.md, as SVG."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.acceleration.analysis import payoffs, repeated, spread
from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.grid import tuned_sizes
from benchmarks.acceleration.results import Results
from benchmarks.acceleration.tables import TERA, part_cells

# Equal input gives equal files.
STYLE = {"svg.hashsalt": "acceleration", "svg.fonttype": "none", "font.size": 10, "axes.grid": True}
METADATA = {"Date": None, "Creator": None}


def draw(results: Results, folder: Path) -> list[Path]:
    """Write the figures; as many as there are results for."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        return [
            _draw_costs(results, folder / "costs.svg"),
            _draw_payoffs(results, folder / "acceleration.svg"),
        ]


def _draw_costs(results: Results, path: Path) -> Path:
    """Accuracy against cost: models alone as lines, chains from their predecessor's point to their own."""
    figure, axes = plt.subplots(figsize=(8, 5))
    colours = {size: f"C{number}" for number, size in enumerate(tuned_sizes(results))}
    for size, colour in colours.items():
        cells = [cell for cell in part_cells(results, "frontier") if cell.size == size]
        found = [repeated(results, cell) for cell in cells]
        axes.errorbar(
            [results[cell]["macs"] / TERA for cell in cells],
            [100 * one.mean for one in found],
            yerr=[0 if one.count == 1 else 100 * one.half for one in found],
            color=colour,
            marker="o",
            capsize=3,
            label=f"{size} alone",
        )
    for cell in part_cells(results, "chain"):
        _draw_stage(axes, results, cell, colours)
    axes.set(
        xscale="log", xlabel="training cost so far, 10^12 MACs (teachers included)", ylabel="mean R@1, %"
    )
    axes.legend()
    return save(figure, path)


def _draw_stage(axes: Axes, results: Results, cell: Cell, colours: dict[str, str]) -> None:
    lineage = list(cell.lineage())
    totals = [sum(results[past]["macs"] for past in lineage[: number + 1]) for number in range(len(lineage))]
    heights = [100 * repeated(results, past).mean for past in lineage]
    axes.plot([total / TERA for total in totals[-2:]], heights[-2:], color="0.6", linewidth=1, zorder=1)
    axes.plot(totals[-1] / TERA, heights[-1], marker="*", markersize=12, color=colours[cell.size], zorder=3)


def _draw_payoffs(results: Results, path: Path) -> Path:
    """Acceleration of the family at equal accuracy, a row a chain; hollow where that is a bound."""
    found = [(last, payoffs(results, last)) for last in part_cells(results, "chain")]
    rows = sorted(((last, each) for last, each in found if each), key=lambda row: len(row[1][0].accuracies))
    figure, axes = plt.subplots(figsize=(8, 1 + 0.35 * len(rows)))
    for place, (_, each) in enumerate(rows):
        one = spread([payoff.acceleration for payoff in each])
        bound = any(payoff.sign for payoff in each)
        axes.errorbar(
            one.mean,
            place,
            xerr=0 if one.count == 1 else one.half,
            marker="o",
            markerfacecolor="white" if bound else "C0",
            capsize=3,
            color="C0",
        )
    labels = [f"{last.path}: {100 * repeated(results, last).mean:.0f} %" for last, _ in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.axvline(1, color="0.5", linestyle="--")
    axes.set(xlabel="acceleration of the chain's models at equal accuracy (hollow: a bound)")
    return save(figure, path)


def save(figure: plt.Figure, path: Path) -> Path:
    """Write a figure and close it."""
    figure.tight_layout()
    figure.savefig(path, metadata=METADATA)
    plt.close(figure)
    return path
