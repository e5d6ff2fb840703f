from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.plan.cluster import DEVICES, Assumptions, Rate
from ray_compt.plan.cluster.collectives import make_ring
from ray_compt.plan.cluster.loader import LoaderNeed
from ray_compt.plan.cluster.step import (
    Place,
    Work,
    feature_bytes,
    feature_seconds,
    gradient_seconds,
    loss_seconds,
    step_time,
)

GIVEN = Assumptions()
H100, VCPU = DEVICES["H100"], DEVICES["vCPU"]
RATE, FREE = Rate(0.3), LoaderNeed(0.0, 0.0, 0.0)
WORK = Work(
    batch=32_768,
    captions=1,
    embed_dim=512,
    parameters=150_000_000,
    student=123e9,
    teacher=0.0,
    precision="bf16",
    teacher_precision="bf16",
    zero_stage=1,
    overlap=False,
)
FAST = settings(deadline=None, max_examples=100)
POWERS = st.integers(0, 9).map(lambda power: 2**power)


def place(workers, per_node=8, *, services=0.0, device=H100, threads=192.0):
    ring = make_ring(workers, per_node, 300e9, 280e9, GIVEN.link_hop_s, GIVEN.hop_s)
    return Place(device, 1.0, ring, per_node, threads, 280e9, services)


def step(work, where, rate=RATE, teacher_rate=RATE, reader=FREE):
    return step_time(work, where, rate, teacher_rate, reader, GIVEN)


def test_computing_by_hand():
    found = step(WORK, place(8))
    assert found.compute == pytest.approx(32_768 / 8 * 123e9 / (0.3 * 989e12))
    assert found.total == pytest.approx(found.compute + found.loss + found.features + found.gradients)


@FAST
@given(POWERS, POWERS, st.floats(0, 0.1))
def test_more_workers_never_compute_longer(workers, factor, overhead):
    rate = Rate(0.3, overhead)
    few, many = step(WORK, place(workers), rate), step(WORK, place(workers * factor), rate)
    assert many.compute <= few.compute and many.loss <= few.loss
    assert many.compute >= overhead


@FAST
@given(POWERS, st.floats(1, 10))
def test_a_better_rate_is_never_slower(workers, factor):
    better = Rate(min(1.0, 0.3 * factor))
    assert step(WORK, place(workers), better).total <= step(WORK, place(workers)).total


def test_the_loss_by_hand():
    # 6 FLOPs for each of 2 x 4,096 x 32,768 logits and each of 512 channels, at the device's fp32 rate.
    logits = 2 * 4096 * 32_768
    expected = 6 * logits * 512 / (67e12 * 0.6) + 10 * 4 * logits / 3.35e12
    assert loss_seconds(WORK, place(8), 0.6) == pytest.approx(expected)


@pytest.mark.parametrize("batch, megabytes", [(32_768, 134), (81_920, 336), (163_840, 671)])
def test_features_of_the_global_batch(batch, megabytes):
    assert feature_bytes(batch, 1, 512) == pytest.approx(1e6 * megabytes, rel=0.01)


def test_features_are_gathered_once_and_reduced_once():
    ring = place(16).ring
    size = feature_bytes(WORK.batch, 1, 512)
    expected = 3 * 15 / 16 * size / ring.bandwidth + 6 * ring.latency_s
    assert feature_seconds(WORK, ring) == pytest.approx(expected)


@pytest.mark.parametrize("stage, passes", [(0, 2), (1, 2), (2, 2), (3, 3)])
def test_passes_of_each_zero_stage(stage, passes):
    ring = place(16).ring
    found = gradient_seconds(replace(WORK, zero_stage=stage), ring, 0.0)
    assert found == pytest.approx(passes * ring.one_pass(2 * WORK.parameters))


def test_only_the_reduction_hides_behind_the_backward_pass():
    ring, overlapping = place(16).ring, replace(WORK, overlap=True)
    one = ring.one_pass(2 * WORK.parameters)
    assert gradient_seconds(overlapping, ring, 1e9) == pytest.approx(one)
    assert gradient_seconds(overlapping, ring, 0.0) == pytest.approx(2 * one)
    assert gradient_seconds(WORK, ring, 1e9) == pytest.approx(2 * one)


def test_one_worker_exchanges_nothing():
    found = step(WORK, place(1))
    assert found.features == found.gradients == 0
    assert found.bottleneck == "compute"


def test_a_teacher_inside_adds_and_a_fast_service_does_not():
    taught = replace(WORK, teacher=41e9)
    plain, inside = step(WORK, place(8)), step(taught, place(8))
    assert inside.teacher == pytest.approx(41 / 123 * plain.compute)
    assert inside.total == pytest.approx(plain.total + inside.teacher)
    assert step(taught, place(8, services=8)).total == pytest.approx(plain.total)


def test_a_slow_service_holds_the_step_up():
    found = step(replace(WORK, teacher=41e9), place(8, services=0.5))
    assert found.total == pytest.approx(32_768 * 41e9 / (0.3 * 989e12 * 0.5))
    assert found.bottleneck == "teacher"


def test_a_teacher_in_fp32_computes_at_that_peak():
    taught = replace(WORK, teacher=41e9, teacher_precision="fp32")
    found = step(taught, place(8), teacher_rate=Rate(0.6))
    assert found.teacher == pytest.approx(4096 * 41e9 / (0.6 * 67e12))


def test_readers_that_are_too_slow_hold_the_step_up():
    slow = LoaderNeed(0.0, 0.5, 30e3)
    found = step(WORK, place(8), reader=slow)
    busy = found.total - found.wait_data
    assert found.total == pytest.approx((8 * busy + 32_768 * 0.5) / 192)
    assert found.bottleneck == "data"
    heavy = step(WORK, place(8), reader=LoaderNeed(0.0, 0.0, 1e9))
    assert heavy.total == pytest.approx(32_768 * 1e9 / 280e9)


def test_workers_on_cpus_take_their_threads_from_the_readers():
    work = replace(WORK, precision="fp32", teacher_precision="fp32", batch=64, student=1e9, parameters=10**6)
    reader = LoaderNeed(0.0, 0.02, 0.0)
    one, two = (place(n, 4, device=VCPU, threads=2.0) for n in (1, 2))
    alone = step(work, one, reader=reader)
    assert alone.wait_data == 0
    both = step(work, two, reader=reader)
    assert both.wait_data > 0
    assert both.total == pytest.approx((2 * (both.total - both.wait_data) + 64 * 0.02) / 2)


def test_a_device_without_the_precision():
    with pytest.raises(UserError, match="does not compute in bf16"):
        step(WORK, place(1, device=VCPU))
