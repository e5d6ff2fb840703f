"""The plots show the run's own numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ray_compt.report.html.facts import Curves, RunFacts
from ray_compt.report.html.figures.accuracy import accuracy, metric_keys
from ray_compt.report.html.figures.cost import cost
from ray_compt.report.html.figures.evaluation import calibration, intervals, robustness
from ray_compt.report.html.figures.growth import growth
from ray_compt.report.html.figures.steps import losses, speed
from ray_compt.report.html.figures.workers import workers
from tests.report.html.eventful import ATTACK


@pytest.fixture
def chain_only(facts: RunFacts) -> RunFacts:
    """The same run without models trained alone."""
    return replace(facts, individual=())


def traces(figure: Any) -> dict[str, Any]:
    """The first trace of each name."""
    found: dict[str, Any] = {}
    for trace in figure.data:
        found.setdefault(trace.name, trace)
    return found


def test_a_chains_points_lie_at_the_cost_of_all_its_stages_so_far(facts: RunFacts) -> None:
    small, large = facts.stages
    chain = traces(accuracy([facts]))["chain"]
    assert list(chain.x) == [small.macs, small.macs, small.macs + large.macs]
    assert list(chain.y) == [0.5, 0.45, 0.6]
    assert [label for label, _ in chain.customdata] == ["small", "large, just grown", "large"]


def test_models_alone_lie_at_their_own_cost_and_the_family_at_the_sum(facts: RunFacts) -> None:
    found, (small, large) = traces(accuracy([facts])), facts.individual
    assert list(found["each model alone, at its own cost"].x) == [small.macs, large.macs]
    assert list(found["the family alone, one after the other"].x) == [small.macs, small.macs + large.macs]
    assert list(found["each model alone, at its own cost"].y) == [0.5, 0.7]


def test_the_right_half_is_against_seconds(facts: RunFacts) -> None:
    right = [trace for trace in accuracy([facts]).data if trace.xaxis == "x2" and trace.name == "chain"]
    assert list(right[0].x) == [100, 100, 200]


def test_the_menu_replaces_every_traces_values(facts: RunFacts) -> None:
    figure = accuracy([facts])
    (menu,) = figure.layout.updatemenus
    assert [button.label for button in menu.buttons] == [
        "zero-shot top-1",
        "image to text R@1",
        "text to image R@1",
    ]
    for button in menu.buttons:
        assert [len(values) for values in button.args[0]["y"]] == [len(trace.x) for trace in figure.data]
    assert menu.buttons[1].args[0]["y"][0] == [0.25, 0.25, 0.25]


def test_what_was_not_trained_alone_is_a_planned_line(facts: RunFacts, chain_only: RunFacts) -> None:
    figure = accuracy([chain_only])
    lines = {line.x0 for line in figure.layout.shapes}
    assert lines == {facts.cost.stages[1].individual_macs, facts.cost.individual_macs}
    assert all("planned" in note.text for note in figure.layout.annotations)
    assert not accuracy([facts]).layout.shapes


def test_several_runs_share_the_plot_under_their_own_names(facts: RunFacts) -> None:
    figure = accuracy([facts, replace(facts, path="elsewhere")])
    names = {trace.name for trace in figure.data}
    assert f"tiny ({facts.path}): chain" in names and "tiny (elsewhere): chain" in names


def test_without_metrics_there_is_no_such_plot(facts: RunFacts) -> None:
    blind = replace(
        facts, stages=[replace(s, metrics={}, grown_metrics={}) for s in facts.stages], individual=()
    )
    assert accuracy([blind]) is None and growth(blind) is None
    assert metric_keys([blind]) == []


def test_cost_is_stacked_and_what_is_planned_is_hatched(facts: RunFacts, chain_only: RunFacts) -> None:
    found = traces(cost(facts))
    assert list(found["student"].y) == [stage.student_macs for stage in facts.stages]
    assert list(found["teachers"].y) == [0, facts.stages[1].teacher_macs] and facts.stages[1].teacher_macs > 0
    assert list(found["the model alone"].y) == [stage.macs for stage in facts.individual]
    planned = traces(cost(chain_only))["the model alone (hatched: planned)"]
    assert list(planned.y) == [stage.individual_macs for stage in facts.cost.stages]
    assert set(planned.marker.pattern.shape) == {"/"}


def test_a_stage_that_has_not_begun_is_planned(facts: RunFacts) -> None:
    waiting = replace(facts.stages[1], state="pending", steps=0, student_macs=0, teacher_macs=0)
    found = traces(cost(replace(facts, stages=[facts.stages[0], waiting], individual=())))
    assert found["student"].y[1] == facts.cost.stages[1].student_macs
    assert list(found["student"].marker.pattern.shape) == ["", "/"]


def test_growth_stands_between_the_predecessor_and_the_end(facts: RunFacts, chain_only: RunFacts) -> None:
    found = {name: list(trace.y) for name, trace in traces(growth(facts)).items()}
    assert found == {
        "its predecessor": [0.5],
        "just grown, untrained": [0.45],
        "at the end of its stage": [0.6],
        "trained alone": [0.7],
    }
    assert "trained alone" not in traces(growth(chain_only))


def test_losses_lie_one_stage_after_the_other_with_a_gap(facts: RunFacts) -> None:
    task = traces(losses(facts))["task"]
    first = facts.stages[0].curves.steps[-1]
    gap = list(task.x).index(None)
    assert (task.x[gap - 1], task.x[gap + 1]) == (first, first + 1)
    assert task.y[2] is None  # not finite
    taught = traces(losses(facts))["distillation, times its weight"]
    assert {value for value in taught.y if value is not None} == {1.0}


def test_a_run_without_recorded_norms_has_no_such_row(facts: RunFacts) -> None:
    def older(curves: Curves) -> Curves:
        return replace(curves, values={k: v for k, v in curves.values.items() if k != "grad_norm"})

    stages = [replace(stage, curves=older(stage.curves)) for stage in facts.stages]
    titles = [axis.title.text for axis in losses(replace(facts, stages=stages)).select_yaxes()]
    assert titles == ["loss", "learning rate"]


def test_speed_and_waits(facts: RunFacts) -> None:
    found = traces(speed(facts))
    assert {value for value in found["samples/s"].y if value is not None} == {160.0}
    assert {value for value in found["waiting for data"].y if value is not None} == {0.2, 0.3}
    assert {value for value in found["waiting for teachers"].y if value is not None} == {0.0, 0.1}


def test_every_kind_of_event_is_marked(facts: RunFacts) -> None:
    found = traces(workers(facts))
    assert {"workers", "started", "running", "checkpoint", "resize", "pause", "failure", "note"} == set(found)
    assert found["resize"].y[0] == 2  # what there was until then
    assert "there is room for more" in found["resize"].customdata[0][1]
    assert "1.2 s" in found["pause"].customdata[0][1]
    assert (
        ATTACK not in str(found["failure"].customdata) and "&lt;script" in found["failure"].customdata[0][1]
    )


def test_a_run_without_events_or_steps_has_no_plot_of_them(facts: RunFacts) -> None:
    empty = replace(
        facts, stages=[replace(s, events=(), curves=Curves()) for s in facts.stages], individual=()
    )
    assert workers(empty) is None and losses(empty) is None and speed(empty) is None


def test_accuracies_carry_their_intervals(facts: RunFacts) -> None:
    found = traces(intervals(facts))
    assert list(found) == ["small", "large", "large alone"]
    small, alone = found["small"], found["large alone"]
    assert list(small.y)[:3] == [
        "zero_shot: top-1",
        "retrieval: image to text R@1",
        "retrieval: text to image R@1",
    ]
    assert list(small.x) == [0.5, 0.25, 0.3, 0.25] and alone.x[0] == 0.7
    assert list(small.error_x.array) == pytest.approx([0.03125, 0.0625, 0.0625, None])
    assert list(small.error_x.arrayminus) == pytest.approx([0.0625, 0.125, 0.125, None])
    assert small.customdata[0][0] == " (43.8 to 53.1 %)" and small.customdata[3][0] == ""
    assert alone.marker.color == found["large"].marker.color != small.marker.color
    assert small.y[3].endswith(": top1 4shot") and ATTACK not in small.y[3]


def test_the_calibration_error_of_each_task_that_has_one(facts: RunFacts) -> None:
    found = traces(calibration(facts))
    assert {name: (list(bar.x), list(bar.y)) for name, bar in found.items()} == {
        name: (["zero_shot"], [0.125]) for name in ("small", "large", "large alone")
    }


def test_worse_pictures_stand_beside_clean_ones(facts: RunFacts) -> None:
    figure = robustness(facts)
    large = traces(figure)["large"]
    assert list(large.x) == ["clean", "blur", "jpeg"]
    assert list(large.y) == pytest.approx([0.6, 0.35, 0.475])
    assert list(large.error_y.array) == pytest.approx([0.03125, None, None])
    assert [note.text for note in figure.layout.annotations] == ["zero_shot, top-1, severity 3"]


def test_each_corrupted_task_has_a_plot_and_each_model_one_entry_in_the_legend(facts: RunFacts) -> None:
    tasks = [replace(facts.stages[0].tasks[0], name=f"task{number}") for number in range(4)]
    run = replace(facts, stages=[replace(stage, tasks=tasks) for stage in facts.stages], individual=())
    figure = robustness(run)
    assert {trace.xaxis for trace in figure.data} == {"x", "x2", "x3", "x4"}
    assert [trace.name for trace in figure.data if trace.showlegend] == ["small", "large"]


def test_a_run_that_was_not_evaluated_has_no_plots_of_it(facts: RunFacts) -> None:
    blind = replace(facts, stages=[replace(stage, tasks=()) for stage in facts.stages], individual=())
    assert intervals(blind) is None and calibration(blind) is None and robustness(blind) is None
    plain = replace(facts.stages[0].tasks[1], intervals={})
    plain = replace(facts, stages=[replace(facts.stages[0], tasks=[plain])], individual=())
    assert list(traces(intervals(plain))["small"].y) == [
        "retrieval: image to text R@1",
        "retrieval: text to image R@1",
    ]
    assert calibration(plain) is None and robustness(plain) is None
