"""What the acceleration experiment makes of its raw results."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.acceleration.analysis import Cost, cost_at, difference, payoff, payoffs, repeated, spread
from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.document import PAGE, with_tables
from benchmarks.acceleration.grid import LEARNING_RATES, STAGE_SHARES, alone, stage, tune, tuned_sizes
from benchmarks.acceleration.results import RESULTS, Results
from benchmarks.acceleration.tables import alone_table, chain_table

FRONTIER = [(1e12, 0.30), (4e12, 0.50), (16e12, 0.60)]


def _add(results: Results, cell: Cell, accuracy: float, macs: float) -> None:
    metrics = {"image_to_text_r1": accuracy + 0.01, "text_to_image_r1": accuracy - 0.01}
    results.add(cell, {"metrics": metrics, "macs": macs})


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """S and M alone with two seeds, M twice as costly, and one chain that takes a tenth of M's cost."""
    found = Results(tmp_path / "made.jsonl")
    for size in ("S", "M"):
        for cell in tune(found, 0, (size,)):
            _add(found, cell, 0.1 if cell.lr != 2e-3 else 0.2, 1e12)
    for seed in (0, 1):
        for size, factor in (("S", 1), ("M", 2)):
            for epochs, (macs, accuracy) in zip((40, 80, 160), FRONTIER):
                cell = alone(found, size, epochs, seed)
                if cell not in found or epochs == 80:
                    _add(found, cell, accuracy + seed / 100, factor * macs)
    small = alone(found, "S", 160, 0)
    for share, accuracy in zip(STAGE_SHARES, (0.4, 0.5, 0.45)):
        cell = Cell("M", 20, share * 2e-3, 0, source=small, growth="lossless", weight=1000 / 512)
        _add(found, cell, accuracy, 3.2e12)
    return found


def test_a_frontier_is_read_between_its_budgets():
    assert cost_at(FRONTIER, 0.50) == Cost(pytest.approx(4e12))
    # Half-way in accuracy is the geometric mean of the costs.
    assert cost_at(FRONTIER, 0.40) == Cost(pytest.approx(2e12))
    assert cost_at(FRONTIER, 0.61) == Cost(16e12, ">")
    assert cost_at(FRONTIER, 0.20) == Cost(1e12, "<")
    with pytest.raises(ValueError, match="empty"):
        cost_at([], 0.5)


@given(
    st.lists(st.tuples(st.floats(1, 1e3), st.floats(0, 1)), min_size=2, max_size=6, unique_by=lambda p: p[0]),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_more_accuracy_never_costs_less(points: list[tuple[float, float]], one: float, other: float):
    points = sorted(points)
    low, high = sorted((one, other))
    assert cost_at(points, low).macs <= cost_at(points, high).macs * (1 + 1e-9)


def test_a_chain_is_held_against_its_models_alone_at_equal_accuracy(results: Results):
    last = stage(results, alone(results, "S", 160, 0), "M", 20)
    assert last.lr == LEARNING_RATES[1] * STAGE_SHARES[1]
    found = payoff(results, last)
    # M alone reaches 0.5 for 8e12; S cost 16e12 in both.
    assert found.chain == pytest.approx(19.2e12)
    assert found.family == pytest.approx(24e12)
    assert found.acceleration == pytest.approx(24 / 19.2)
    assert found.share == pytest.approx(19.2 / 8)
    assert found.sign == ""


def test_intervals_are_of_the_mean_over_seeds(results: Results):
    found = repeated(results, alone(results, "S", 160, 0))
    # Two values 0.01 apart: t(0.975, 1) = 12.706, standard error 0.005.
    assert (found.mean, found.half, found.count) == (
        pytest.approx(0.605),
        pytest.approx(0.06353, rel=1e-3),
        2,
    )
    assert math.isnan(spread([0.5]).half)
    two = difference(results, alone(results, "S", 160, 0), alone(results, "S", 40, 0))
    assert (two.mean, two.half) == (pytest.approx(0.3), pytest.approx(0, abs=1e-9))
    with pytest.raises(KeyError):
        repeated(results, Cell("L", 1, 1.0, 0))


def test_tables_hold_what_is_there(results: Results):
    assert tuned_sizes(results) == ("S", "M")
    lines = alone_table(results).splitlines()
    assert "| S | 160 | 0.002 | 16.00 | 60.5 ± 6.4 | 2 |" in lines
    chain = next(line for line in chain_table(results).splitlines() if "->" in line)
    assert chain.startswith("| S 160 -> M 20 | 19.20 | 60.5 ± 6.4, 50.0 | 1.25 |")


def test_a_seed_without_models_alone_counts_for_the_accuracy_only(results: Results):
    last = stage(results, alone(results, "S", 160, 0), "M", 20)
    far = replace(last.with_seed(7), source=replace(alone(results, "S", 160, 0), seed=7))
    _add(results, far.source, 0.6, 16e12)
    _add(results, far, 0.6, 3.2e12)
    assert [one.family for one in payoffs(results, last)] == [pytest.approx(24e12)]
    chain = next(line for line in chain_table(results).splitlines() if "->" in line)
    # Two values 0.1 apart: 12.706 times a standard error of 0.05.
    assert ", 55.0 ± 63.5 | 1.25 | " in chain
    assert chain.endswith(" | 2 |")


def test_the_page_shows_the_results_that_are_kept():
    page = PAGE.read_text()
    assert with_tables(page, Results(RESULTS / "cpu.jsonl")) == page
