"""docs/scaling.md has the tables that the code predicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.plan.cluster import document
from ray_compt.plan.cluster.scales import scaled_step

PAGE = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_the_page_has_every_predicted_table():
    missing = [line for line in document.page().splitlines() if line.startswith("|") and line not in PAGE]
    assert not missing, (
        "run: python -m ray_compt.plan.cluster.document, and put its tables into docs/scaling.md"
    )


@pytest.mark.parametrize("batch", [scale.batch for scale in document.SCALES])
def test_more_workers_are_never_slower_to_compute(batch):
    found = [
        scaled_step(document.MODEL, batch, document.H100, workers, given=document.GIVEN)
        for workers in document.WORKERS
    ]
    computing = [one.time.compute for one in found]
    assert computing == sorted(computing, reverse=True)
    assert [one.nodes for one in found] == [1, 1, 1, 1, 2, 4, 8, 16, 32, 64]
    assert all(one.micro_batch <= one.share for one in found)


def test_what_workers_read_is_what_they_train_on():
    found = scaled_step(document.MODEL, 8192, document.H100, 8, given=document.GIVEN)
    assert found.need.samples_s == found.samples_s == pytest.approx(8192 / found.time.total)
    assert found.need.megabytes_s == pytest.approx(found.samples_s * document.GIVEN.picture_bytes / 1e6)


def test_other_peoples_trainers_are_predicted_within_a_factor():
    """Published rates are those of another trainer; an estimate that is off by an order of magnitude is none."""
    for model, workers, each, published in document.PUBLISHED:
        found = scaled_step(model, workers * each, document.BOOSTER, workers, given=document.GIVEN)
        assert 0.5 < found.samples_s / published < 5
