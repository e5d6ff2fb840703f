"""What the benchmark of chain design makes of raw results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.document import PAGE, with_tables
from benchmarks.acceleration.grid import PAPER_WEIGHT
from benchmarks.acceleration.results import RESULTS, Results
from benchmarks.design.data import as_measured, read_trainings
from benchmarks.design.document import section, with_design
from benchmarks.design.foresight import covered, foresee, mean_error, ordered
from ray_compt.plan.design import format_path

STEPS = 50
FORWARD = {"S": 1_000_000, "M": 4_000_000}


def _add(results: Results, cell: Cell, accuracy: float) -> Cell:
    steps = round(STEPS * cell.epochs)
    teacher = FORWARD[cell.source.size] * 128 * steps if cell.source and cell.weight else 0
    results.add(
        cell,
        {
            "metrics": {"image_to_text_r1": accuracy + 0.01, "text_to_image_r1": accuracy - 0.01},
            "macs": 3 * 128 * steps * FORWARD[cell.size] + teacher,
            "teacher_macs": teacher,
            "steps": steps,
        },
    )
    return cell


def _stage(source: Cell, size: str, epochs: float) -> Cell:
    return Cell(size, epochs, 1e-3, source.seed, source=source, growth="lossless", weight=PAPER_WEIGHT)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Two sizes alone, the two chains that are fitted, one that is not with two seeds, and a control."""
    found = Results(tmp_path / "made.jsonl")
    for seed in (0, 1):
        small = [_add(found, Cell("S", epochs, 1e-3, seed), at) for epochs, at in ((80, 0.5), (160, 0.55))]
        for epochs, reached in ((80, 0.58), (160, 0.62)):
            _add(found, Cell("M", epochs, 1e-3, seed), reached)
        _add(found, _stage(small[0], "M", 10), 0.51)
        _add(found, _stage(small[1], "M", 20), 0.57)
        _add(found, _stage(small[1], "M", 10), 0.56 + 0.01 * seed)
    _add(found, Cell("S", 80, 4e-3, 0), 0.3)
    _add(found, replace(_stage(small[1], "M", 10), growth="random"), 0.1)
    return found


def test_each_training_counts_at_its_best_learning_rate_and_controls_do_not(results: Results):
    found = {(format_path(one.path), one.seed): one for one in read_trainings(results)}
    assert found["S 80", 0].metric == pytest.approx(0.5)
    assert len(found) == 2 * 7
    chain = found["S 160 -> M 10", 1]
    assert (chain.metric, chain.before) == (pytest.approx(0.57), pytest.approx(0.55))
    assert chain.macs == 128 * STEPS * (160 * 3e6 + 10 * (12e6 + 1e6))


def test_costs_are_read_off_the_results(results: Results):
    measured = as_measured(results, read_trainings(results))
    assert measured.forward == pytest.approx(FORWARD)
    assert measured.samples == 128 * STEPS


def test_unseen_chains_are_held_against_their_outcome(results: Results):
    (case,) = foresee(results)
    assert format_path(case.path) == "S 160 -> M 10"
    assert case.outcome == pytest.approx(0.565)
    assert case.guess.macs == pytest.approx(case.macs)
    assert case.guess.metric == pytest.approx(0.56, abs=0.02)
    assert case.guesses["the last model alone at its largest budget"] == pytest.approx(0.62)
    assert case.guesses["the first model alone, kept to the end"] == pytest.approx(0.55)
    assert covered([case])[1] == 2
    assert mean_error([case], lambda one: 0.5) == pytest.approx(0.065)


def test_pairs_that_differ_clearly_are_ordered(results: Results):
    (case,) = foresee(results)
    better, alike = replace(case, outcomes=(0.6,), macs=2 * case.macs), replace(case, outcomes=(0.57,))
    assert ordered([case, better, alike], lambda one: one.macs) == (2, 0, 2)
    assert ordered([case, better, alike], lambda one: -one.macs) == (0, 0, 2)
    assert ordered([case, better], lambda one: 0.0) == (0, 1, 1)


def test_the_section_is_replaced_and_nothing_else(results: Results):
    page = "before\n<!-- design -->\nold\n<!-- end -->\nafter <!-- end -->\n"
    text = with_design(page, results)
    assert text.startswith("before\n<!-- design -->\n| chain |") and text.endswith(
        "<!-- end -->\nafter <!-- end -->\n"
    )
    assert "old" not in text and "| S 160 -> M 10 |" in text
    assert with_design(text, results) == text


def test_without_results_the_section_says_so(tmp_path: Path):
    assert section(foresee(Results(tmp_path / "none.jsonl"))) == "No unseen chain yet.\n"


def test_the_experiments_tables_leave_the_section_alone():
    page = PAGE.read_text()
    results = Results(RESULTS / "cpu.jsonl")
    assert "<!-- design -->" in page
    old = page.replace("<!-- design -->\n", "<!-- design -->\nkept\n")
    assert "<!-- design -->\nkept\n" in with_tables(old, results)
