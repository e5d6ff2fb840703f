"""Stages that share a cluster: nobody gets less than its fewest workers, and together they fit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.config.schema import WorkersConfig
from ray_compt.sweep.running.share import fair_share


@pytest.mark.parametrize(
    ("cpus", "gpus", "running", "share"),
    [(12, 0, 1, None), (12, 0, 2, 4), (12, 0, 3, 2), (12, 0, 9, 1), (100, 3, 2, 1), (100, 16, 2, 8)],
)
def test_places_are_divided(cpus: float, gpus: float, running: int, share: int | None) -> None:
    workers = WorkersConfig(max=8, gpus=1 if gpus else 0)
    assert fair_share({"CPU": cpus, "GPU": gpus}, workers, 0.25, running) == share


@given(st.integers(0, 200), st.integers(2, 20), st.integers(1, 6))
def test_everybody_has_the_fewest_and_together_they_fit(cpus: int, running: int, fewest: int) -> None:
    share = fair_share({"CPU": float(cpus)}, WorkersConfig(min=fewest, max=100), 0.25, running)
    assert share is not None and share >= fewest
    assert share == fewest or share * running * 1.5 <= cpus
