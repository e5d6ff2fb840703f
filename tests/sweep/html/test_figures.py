"""The plots show the sweep's own numbers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.report.html.figures.style import BLUE, GREEN, ORANGE
from ray_compt.sweep.choice import choose
from ray_compt.sweep.html.figures.axes import axis, metric_text
from ray_compt.sweep.html.figures.front import front
from ray_compt.sweep.html.figures.importance import importance_bars
from ray_compt.sweep.html.figures.parallel import axes_of, colour, parallel
from ray_compt.sweep.html.figures.tree import ROOT, tree
from ray_compt.sweep.importance import Importance
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.prefixes import forest
from ray_compt.sweep.record import TrialRecord
from ray_compt.sweep.scores import Score, score
from tests.sweep.records import METRIC, done, eventful, trial

BOTH = Objective(METRIC, cost="macs")
FOUR = (trial(0, 0.4, 100), trial(1, 0.6, 500), trial(2, 0.8, 500, candidate=1, seed=1), trial(3, 0.3, 300))


def scored(*trials: TrialRecord, objective: Objective = BOTH) -> list[Score]:
    return score(trials, objective)


def named(figure: Any) -> dict[str, Any]:
    return {trace.name: trace for trace in figure.data}


def test_the_front_shows_means_and_the_spread_of_seeds() -> None:
    scores = scored(*FOUR)
    found = named(front(scores, choose(scores, BOTH), BOTH))
    assert set(found) == {"candidates", "Pareto front", "winner"}
    line = found["Pareto front"]
    assert list(line.x) == [100, 500] and list(line.y) == pytest.approx([0.4, 0.7])
    assert list(line.error_y.array) == pytest.approx([0, 0.1])
    assert list(line.error_y.arrayminus) == pytest.approx([0, 0.1])
    assert list(found["candidates"].y) == [0.3] and list(found["winner"].x) == [500]


def test_a_target_is_a_line_and_may_have_no_winner() -> None:
    objective = Objective(METRIC, at_least=0.9, minimise="macs")
    scores = scored(*FOUR, objective=objective)
    drawn = front(scores, choose(scores, objective), objective)
    assert drawn is not None
    assert "winner" not in named(drawn) and [shape.y0 for shape in drawn.layout.shapes] == [0.9]


def test_without_candidates_that_count_there_is_no_plot() -> None:
    scores = scored(trial(0, state="failed"))
    assert front(scores, choose(scores, BOTH), BOTH) is None
    assert parallel(scores, BOTH) is None and parallel(scored(trial(0)), BOTH) is None


def test_a_line_of_parallel_coordinates_goes_through_its_candidates_values() -> None:
    trials = [
        trial(0, 0.2, 100, values={"lr": 1e-4, "growth": "embed", "same": 1}),
        trial(1, 0.3, 300, values={"lr": 1e-3, "growth": "random", "same": 1}),
        trial(2, 0.6, 200, values={"lr": 1e-2, "growth": "embed", "same": 1, "stages.S.epochs": 4}),
    ]
    scores = scored(*trials)
    axes = axes_of(scores, BOTH)
    assert [one.name for one in axes] == ["lr", "growth", "stages.S.epochs", "MACs", "image to text R@1"]
    places = {one.name: list(one.places) for one in axes}
    assert places["lr"] == pytest.approx([0, 0.5, 1]) and places["growth"] == [0, 1, 0]
    assert places["MACs"] == [0, 1, 0.5] and places["image to text R@1"] == pytest.approx([0, 0.25, 1])
    assert places["stages.S.epochs"] == [None, None, 0.5]
    drawn = parallel(scores, BOTH)
    assert drawn is not None
    assert list(drawn.data[2].y) == pytest.approx([1, 0, 0.5, 0.5, 1])
    assert drawn.data[0].line.color == BLUE and drawn.data[2].line.color == ORANGE


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1), st.booleans())
def test_numbers_lie_on_their_axis_in_their_order(values: list[float | None], positive: bool) -> None:
    if positive:
        values = [None if value is None else abs(value) + 1e-6 for value in values]
    found = axis("key", values)
    given = [number for number, value in enumerate(values) if value is not None]
    pairs = sorted((values[number] or 0.0, found.places[number] or 0.0) for number in given)
    assert [place is None for place in found.places] == [value is None for value in values]
    assert all(0 <= place <= 1 for _, place in pairs)
    assert [place for _, place in pairs] == sorted(place for _, place in pairs)


def test_values_that_are_not_all_numbers_are_choices() -> None:
    assert axis("key", [True, False, None]).ticks == ((0.0, "true"), (1.0, "false"))
    assert axis("key", ["a", 1, "b"]).places == (0, 0.5, 1)
    assert axis("key", ["a", "a"]).places == (0.5, 0.5) and axis("key", [None]).ticks == ()


def test_colours_run_from_blue_to_orange() -> None:
    assert (colour(0), colour(1)) == (BLUE, ORANGE)


def test_the_largest_importance_is_on_top() -> None:
    drawn = importance_bars(Importance({"lr": 0.7, "growth": 0.3}, ""))
    assert drawn is not None
    assert list(drawn.data[0].y) == ["growth", "lr"] and list(drawn.data[0].x) == [0.3, 0.7]
    assert importance_bars(Importance({}, "too few")) is None


def test_the_trees_boxes_hang_on_their_predecessors() -> None:
    def pair(number: int, name: str, reused: bool) -> TrialRecord:
        small = done("T", "t", 0.2, 100, reused=reused)
        return trial(number, stages=(small, done(name, f"t/{name}", 0.5, 50)))

    drawn = tree(forest([pair(0, "S", False), pair(1, "M", True)]), "quick")
    assert drawn is not None
    (boxes,) = drawn.data
    assert list(boxes.ids) == [ROOT, "t", "t/S", "t/M"] and list(boxes.parents) == ["", ROOT, "t", "t"]
    assert list(boxes.values) == [0, 100, 50, 50] and boxes.marker.colors[1] == GREEN
    assert boxes.customdata[1] == "100 MACs, 2 trials, 100 saved" and boxes.customdata[0] == "200 MACs"
    assert tree([], "quick") is None


def test_text_is_only_text() -> None:
    record = eventful(attack="<b>x</b>")
    scores = score(record.trials, BOTH)
    figures = [
        front(scores, choose(scores, BOTH), BOTH),
        parallel(scores, BOTH),
        tree(forest(record.trials), record.name),
    ]
    for figure in figures:
        assert figure is not None
        drawn = str(figure.to_json())
        assert "<b>" not in drawn and r"\u003cb\u003e" not in drawn and "x" in drawn


def test_shares_are_percentages() -> None:
    assert metric_text(METRIC, 0.125) == "12.5%" and metric_text("zero_shot_ece", 0.125) == "0.125"
