"""Hours and money of whole chains."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_compt.config import load_chain
from ray_compt.errors import UserError
from ray_compt.plan import plan_chain
from ray_compt.plan.cluster import Assumptions, Rate, Rates, estimate, table

from .conftest import rented

LANES = "data.lanes=512"


def planned(*overrides):
    chain = load_chain("vit_4", overrides)
    return chain, plan_chain(chain, chain.data.samples)


VIT_4 = planned("teacher.precision=bf16", "data.lanes=512")
NO_TEACHER = planned("transfer.distill.weight=0", "data.lanes=512")


@pytest.fixture
def h100(make_cluster):
    return make_cluster(gpu=rented("p5.48xlarge"))


def test_sums_are_those_of_the_stages(h100):
    found = estimate(*VIT_4, h100, workers=8)
    start = Assumptions().nodes_start_s / 3600
    assert found.hours == pytest.approx(start + sum(one.stage.hours for one in found.stages))
    assert found.alone_hours == pytest.approx(4 * start + sum(one.alone.hours for one in found.stages))
    assert found.dollars == pytest.approx(found.hours * (55 + 0.19))
    assert found.alone_dollars == pytest.approx(found.alone_hours * (55 + 0.19))


def test_a_stages_hours_by_hand(h100):
    chain, cost = NO_TEACHER
    given = Assumptions()
    last, planned_stage = estimate(chain, cost, h100, workers=8).stages[-1], cost.stages[-1]
    saving = planned_stage.steps // 500 * 12 * planned_stage.parameters / given.checkpoint_bytes_s
    seconds = planned_stage.steps * last.stage.step.total + saving + given.stage_start_s
    assert last.stage.hours == pytest.approx(seconds / 3600)
    assert last.samples_s == pytest.approx(1024 / last.stage.step.total)
    forward = planned_stage.image_macs + 7 * planned_stage.text_macs
    compute = 128 * 2 * 3 * forward / (0.29 * 989e12)
    assert last.stage.step.compute == pytest.approx(compute)


def test_where_computing_is_all_the_ratio_is_that_of_the_macs(h100):
    free = Assumptions(
        nodes_start_s=0,
        stage_start_s=0,
        hop_s=0,
        link_hop_s=0,
        network_share=1e9,
        checkpoint_bytes_s=1e30,
        share={"bf16": 1e-4, "fp32": 1},
    )
    chain, cost = VIT_4
    found = estimate(chain, cost, h100, workers=8, given=free)
    assert found.alone_hours / found.hours == pytest.approx(cost.acceleration, rel=0.001)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(power=st.integers(0, 8))
def test_twice_the_workers_never_take_longer_to_compute(h100, power):
    few = estimate(*NO_TEACHER, h100, workers=2**power)
    many = estimate(*NO_TEACHER, h100, workers=2 ** (power + 1))
    for one, other in zip(few.stages, many.stages):
        assert other.stage.step.compute <= one.stage.step.compute
        assert other.nodes >= one.nodes


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(factor=st.floats(1, 100), spot=st.booleans())
def test_money_grows_with_prices_and_hours_do_not(make_cluster, factor, spot):
    cluster = make_cluster(gpu=rented("p5.48xlarge", spot=spot))
    dearer = replace(cluster, node_types=tuple(_dearer(kind, factor) for kind in cluster.node_types))
    cheap, dear = (estimate(*VIT_4, one, workers=8) for one in (cluster, dearer))
    assert dear.dollars == pytest.approx(factor * cheap.dollars)
    assert dear.alone_dollars == pytest.approx(factor * cheap.alone_dollars)
    assert dear.hours == cheap.hours


def _dearer(kind, factor):
    instance = kind.instance
    prices = {name: factor * getattr(instance, name) for name in ("price", "spot_price")}
    return replace(kind, instance=replace(instance, **prices))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=st.floats(0, 0.5), more=st.floats(0, 0.5))
def test_more_preemptions_take_no_less_time(make_cluster, rate, more):
    cluster = make_cluster(gpu=rented("p5.48xlarge", spot=True))
    few, many = (
        estimate(*VIT_4, cluster, workers=8, given=Assumptions(preemptions_per_hour=one))
        for one in (rate, rate + more)
    )
    assert many.hours >= few.hours and math.isfinite(many.hours)


def test_spot_is_cheaper_and_slower(make_cluster):
    spot, demand = (make_cluster(gpu=rented("p5.48xlarge", spot=spot)) for spot in (True, False))
    cheap, dear = (estimate(*VIT_4, one, workers=8) for one in (spot, demand))
    assert cheap.dollars < dear.dollars and cheap.hours > dear.hours
    assert sum(one.stage.lost_hours for one in dear.stages) == 0


def test_each_stage_takes_the_node_type_on_which_it_costs_least(make_cluster):
    cluster = make_cluster(demand=rented("p5.48xlarge"), spot=rented("p5.48xlarge", spot=True))
    assert {one.node_type for one in estimate(*VIT_4, cluster, workers=8).stages} == {"spot"}
    asked = estimate(*VIT_4, cluster, workers=8, node_type="demand")
    assert {one.node_type for one in asked.stages} == {"demand"}


def test_teachers_cost_time_only_where_they_teach(h100):
    taught, free = estimate(*VIT_4, h100, workers=8), estimate(*NO_TEACHER, h100, workers=8)
    assert [one.teacher for one in taught.stages] == [None, "inline", "inline", "inline"]
    for one, other in zip(taught.stages, free.stages):
        assert one.alone.hours == other.alone.hours
        assert (one.stage.hours > other.stage.hours) == (one.teacher is not None)
        assert (one.stage.step.teacher > 0) == (one.teacher is not None)


def test_a_teacher_in_fp32_is_worth_a_word(make_cluster):
    cluster = make_cluster(gpu=rented("p4d.24xlarge"))
    slow, fast = (estimate(*planned(f"teacher.precision={name}"), cluster) for name in ("fp32", "bf16"))
    assert any("set teacher.precision: bf16" in note for note in slow.stages[-1].notes)
    assert not fast.stages[1].notes and fast.hours < slow.hours


def test_a_share_that_does_not_fit_costs_another_pass(make_cluster):
    cluster = make_cluster(gpu=rented("g6.12xlarge"))
    chain, cost = planned("transfer.distill.weight=0")
    found = estimate(chain, cost, cluster, workers=1).stages[-1]
    assert "set train.micro_batch: auto" in found.notes[0]
    auto = estimate(
        *planned("transfer.distill.weight=0", "train.micro_batch=auto"), cluster, workers=1
    ).stages[-1]
    assert auto.notes == ()
    assert auto.stage.step.compute == found.stage.step.compute
    forward = cost.stages[-1].image_macs + 7 * cost.stages[-1].text_macs
    assert auto.stage.step.compute == pytest.approx(1024 * 2 * 4 * forward / (0.29 * 121e12))


def test_a_measured_rate_is_used_and_named(h100):
    rates = Rates({"bf16": Rate(0.58, 0.0, "measured")}, stage_start_s=5.0)
    usual, measured = estimate(*NO_TEACHER, h100), estimate(*NO_TEACHER, h100, rates=rates)
    for one, other in zip(usual.stages, measured.stages):
        assert other.stage.step.compute == pytest.approx(one.stage.step.compute / 2)
        assert other.rate.source == "measured"
    assert "58.0% of the peak of its H100 (measured)" in "\n".join(table.summary(measured))


def test_a_run_in_another_precision_says_nothing(h100):
    with pytest.raises(UserError, match="computes in bf16, the measured run in fp32"):
        estimate(*VIT_4, h100, rates=Rates({"fp32": Rate(0.5)}))


def test_a_device_without_the_precision(make_cluster):
    with pytest.raises(UserError, match="a T4 does not compute in bf16") as caught:
        estimate(*VIT_4, make_cluster(gpu=rented("g4dn.12xlarge")))
    assert "train.precision=fp16" in caught.value.mend


def test_json_holds_all_of_it(h100):
    found = estimate(*VIT_4, h100, workers=16)
    document = json.loads(json.dumps(found.to_json()))
    assert document["hours"] == found.hours
    stage = document["stages"][1]
    assert (stage["workers"], stage["nodes"], stage["device"]) == (16, 2, "H100")
    parts = {
        name: value for name, value in stage["stage"]["step"].items() if name not in ("total", "bottleneck")
    }
    assert sum(parts.values()) == pytest.approx(stage["stage"]["step"]["total"])


def test_rows_and_sentences(make_cluster):
    found = estimate(*VIT_4, make_cluster(gpu=rented("p5.48xlarge", spot=True)), workers=8)
    assert {len(row) for row in table.rows(found)} == {len(table.HEADER)}
    text = "\n".join(table.summary(found))
    assert f"The chain takes {table.format_hours(found.hours)}" in text
    assert "Preemptions are expected" in text
    assert "order of magnitude" in text
    assert "ViT-S-16, ViT-B-16, ViT-L-16: the teacher runs inside the workers." in text


@pytest.mark.parametrize(
    "hours, text",
    [
        (0.0, "0 s"),
        (0.02, "72 s"),
        (0.5, "30 min"),
        (1.99, "119 min"),
        (12.34, "12.3 h"),
        (1234.5, "1,234 h"),
    ],
)
def test_hours(hours, text):
    assert table.format_hours(hours) == text


@pytest.mark.parametrize("seconds, text", [(0.0123, "12.3 ms"), (1.5, "1.5 s"), (120.0, "120 s")])
def test_seconds(seconds, text):
    assert table.format_seconds(seconds) == text


@pytest.mark.parametrize("dollars, text", [(0.0, "0.00"), (1.234, "1.23"), (1234.5, "1,234")])
def test_dollars(dollars, text):
    assert table.format_dollars(dollars) == text
