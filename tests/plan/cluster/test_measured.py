from __future__ import annotations

import pytest

from benchmarks.throughput_parts.setting import FULL
from ray_compt.config.schema import DataConfig
from ray_compt.errors import UserError
from ray_compt.models import count_macs, model_config
from ray_compt.plan.cluster import DEVICES, Assumptions, FinishedStage, measure_rates
from ray_compt.plan.cluster.collectives import make_ring
from ray_compt.plan.cluster.loader import LoaderNeed, sample_cpu_s
from ray_compt.plan.cluster.step import Place, step_time
from ray_compt.plan.cluster.work import make_work

GIVEN = Assumptions()
PARAMETERS = 20_842_497
VCPU, H100 = DEVICES["vCPU"], DEVICES["H100"]


def finished(make_stage, model, step_s, *, workers=1, start_s=10.0, **keys):
    config = model_config(model, 224)
    return FinishedStage(make_stage(model, **keys), config, 10**7, 1, workers, step_s, start_s, 0.0)


def ideal(model, batch, peak):
    return batch * 6 * count_macs(model_config(model, 224)).forward(1) / peak


def test_the_performance_pages_gpu_step_is_the_default(make_stage):
    """2,298 samples/s of a ViT-B/16 on an H100, batches of 512."""
    one = finished(make_stage, "B", 512 / 2298, batch=512)
    rates = measure_rates([one], H100, "runs/x", GIVEN)
    assert rates.measured["bf16"].share == pytest.approx(GIVEN.share["bf16"], abs=0.01)


def test_a_share_and_an_overhead_of_two_stages(make_stage):
    keys = {"gpus": 0.0, "cpus": 2.0, "precision": "fp32", "batch": 8}
    stages = [
        finished(make_stage, model, 0.1 + ideal(model, 8, 2 * 160e9) / 0.5, start_s=start, **keys)
        for model, start in (("T", 8.0), ("S", 12.0))
    ]
    rates = measure_rates(stages, VCPU, "runs/x", GIVEN)
    found = rates.measured["fp32"]
    # The loss of eight samples is worked out and left aside.
    assert found.share == pytest.approx(0.5, rel=0.01)
    assert found.overhead_s == pytest.approx(0.1, rel=0.01)
    assert rates.stage_start_s == 10.0
    assert found.source == "measured in 2 stages of runs/x"


def test_what_workers_exchange_is_left_out(make_stage):
    alone = finished(make_stage, "B", 1.0, batch=512)
    shared = finished(make_stage, "B", 1.0, batch=1024, workers=2)
    rate, other = (measure_rates([one], H100, "x", GIVEN).measured["bf16"].share for one in (alone, shared))
    assert other > rate


def test_two_workers_are_predicted_from_one(make_stage):
    """docs/performance.md: one worker of two cores made 65.5 samples/s, two of one core each 50.0."""
    keys = {"gpus": 0.0, "precision": "fp32", "batch": 64}
    one = FinishedStage(
        make_stage(FULL.model, cpus=2.0, **keys), FULL.model, PARAMETERS, 1, 1, 64 / 65.5, 10, 0
    )
    rate = measure_rates([one], VCPU, "x", GIVEN).measured["fp32"]
    # The page's share of plain products, which are near the peak.
    assert rate.share == pytest.approx(0.63, abs=0.02)
    link = VCPU.link * GIVEN.network_share
    place = Place(VCPU, 1.0, make_ring(2, 2, link, link, GIVEN.link_hop_s, GIVEN.hop_s), 2, 2.0, 1e12)
    work = make_work(make_stage(FULL.model, cpus=1.0, **keys), FULL.model, 1, PARAMETERS)
    reader = LoaderNeed(0, sample_cpu_s(DataConfig(train="x", image_size=FULL.image_size)), 30e3)
    predicted = step_time(work, place, rate, rate, reader, GIVEN).total
    assert predicted / (64 / 50.0) == pytest.approx(0.88, abs=0.01)


def test_a_teacher_inside_the_workers_counts(make_stage):
    one = finished(make_stage, "B", 1.0, batch=512)
    forward = count_macs(one.config).forward(1)
    taught = FinishedStage(**{**vars(one), "teacher_macs": 3.0 * forward})
    share, double = (measure_rates([each], H100, "x", GIVEN).measured["bf16"].share for each in (one, taught))
    assert double == pytest.approx(2 * share)


def test_a_run_on_another_kind_of_device(make_stage):
    with pytest.raises(UserError, match="trained on GPUs, not on a vCPU") as caught:
        measure_rates([finished(make_stage, "B", 1.0)], VCPU, "runs/x", GIVEN)
    assert "--measured-on" in caught.value.mend


def test_a_run_without_a_stage():
    with pytest.raises(UserError, match="no stage of this run is finished"):
        measure_rates([], VCPU, "runs/x", GIVEN)
