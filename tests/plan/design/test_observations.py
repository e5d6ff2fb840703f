"""Which trainings count as measurements, and what is said of those that cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ray_compt.errors import UserError
from ray_compt.plan.design import Finished, format_path, measure
from tests.plan.design.made import path

SMALL = Finished(
    path=path(("S", 80)),
    metrics={"image_to_text_r1": 0.5, "mean_rank": 7.0, "samples": 640.0},
    before={},
    forward=1e6,
    samples=1000.0,
    taught=0.0,
    recipe="scratch",
    data="abc",
    where="runs/one",
    name="small",
)
LARGE = replace(
    SMALL,
    path=path(("S", 80), ("L", 10)),
    metrics={"image_to_text_r1": 0.6, "zero_shot_top1": 0.4},
    before=SMALL.metrics,
    forward=1e7,
    taught=0.5,
    recipe="growth lossless with distillation",
)


def test_alone_and_stages_are_told_apart():
    found = measure([SMALL, LARGE])
    assert found.metric == "image_to_text_r1"
    assert [(one.path, one.metric, one.before) for one in found.alone] == [(SMALL.path, 0.5, None)]
    assert [(one.path, one.metric, one.before) for one in found.stages] == [(LARGE.path, 0.6, 0.5)]
    assert found.forward == {"S": 1e6, "L": 1e7}
    assert (found.samples, found.taught) == (1000.0, 0.5)


def test_a_stage_that_several_runs_share_counts_once():
    other = replace(SMALL, metrics={**SMALL.metrics, "image_to_text_r1": 0.51})
    assert len(measure([SMALL, replace(SMALL, where="runs/two"), other]).observations) == 2


def test_stages_made_otherwise_than_most_are_left_out_and_named():
    again = replace(LARGE, metrics={"image_to_text_r1": 0.61})
    odd = replace(LARGE, metrics={"image_to_text_r1": 0.3}, recipe="growth random without distillation")
    found = measure([SMALL, LARGE, again, odd])
    assert sorted(one.metric for one in found.stages) == [0.6, 0.61]
    assert "growth lossless with distillation are left out" in found.notes[0]


def test_a_stage_whose_predecessor_lacks_the_metric_is_no_measurement():
    assert measure([SMALL, LARGE], "image_to_text_r1").stages
    with pytest.raises(UserError, match="no predecessor has zero_shot_top1"):
        measure([SMALL, LARGE], "zero_shot_top1")


@pytest.mark.parametrize(
    "finished, metric, says",
    [
        ([], None, "no stage of these runs is finished"),
        ([SMALL], "top1", "no finished stage has the metric top1"),
        ([SMALL], "samples", "no finished stage has the metric samples"),
        ([SMALL], "mean_rank", "mean_rank is no fraction: it lies between 7 and 7"),
        ([replace(SMALL, metrics={"probe": 0.5})], None, "give one of probe"),
        (
            [SMALL, replace(LARGE, data="xyz", where="runs/two")],
            None,
            "runs/two: trained on other data than runs/one",
        ),
        (
            [SMALL, replace(SMALL, metrics={"image_to_text_r1": 0.4}, forward=2e6)],
            None,
            "S costs 2e\\+06 MACs",
        ),
        ([replace(SMALL, forward=0.0)], None, "runs/one: no MACs are counted for S"),
    ],
)
def test_what_cannot_be_compared_is_refused(finished: list[Finished], metric: str | None, says: str):
    with pytest.raises(UserError, match=says):
        measure(finished, metric)


def test_the_metrics_that_are_there_are_named():
    with pytest.raises(UserError, match="give one of image_to_text_r1, mean_rank, zero_shot_top1$"):
        measure([SMALL, LARGE], "top1")


def test_paths_read_like_chains():
    assert format_path(LARGE.path) == "S 80 -> L 10"
    assert format_path(LARGE.path, {"L": "large"}) == "S 80 -> large 10"
