"""Too many steps in a row that are not finite: back once, then the end; a restart of the worker remembers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ray_compt.errors import TrainingError
from ray_compt.train.bad_steps import BadSteps, GoBack
from ray_compt.train.job import StageJob
from tests.train.tiny import make_job


def _job(folder: Path, **train: object) -> StageJob:
    return make_job(0, "fp32", str(folder), max_bad_steps=3, **train)


def _walk(watch: BadSteps, first: int, bad: int) -> None:
    """`bad` skipped steps in a row from step `first`."""
    for number in range(bad):
        watch.saw(first + number, number + 1)


def test_fewer_bad_steps_than_allowed_are_only_skipped(tmp_path: Path) -> None:
    watch = BadSteps(_job(tmp_path))
    _walk(watch, 5, 2)
    _walk(watch, 9, 2)
    assert not list(tmp_path.iterdir())


def test_the_stage_goes_back_once_and_then_stops_with_advice(tmp_path: Path) -> None:
    job = _job(tmp_path, grad_clip=None)
    with pytest.raises(GoBack, match="5 to 7"):
        _walk(BadSteps(job), 5, 3)
    with pytest.raises(TrainingError) as caught:
        _walk(BadSteps(job), 5, 3)
    assert "steps 5 to 7" in caught.value.message
    for advice in ("train.lr", "train.grad_clip", "data of steps 5 to 7"):
        assert advice in caught.value.mend
    assert "bf16" not in caught.value.mend


def test_advice_fits_the_settings(tmp_path: Path) -> None:
    job = _job(tmp_path)
    half = replace(job, train=job.train.model_copy(update={"precision": "fp16"}))
    for _ in range(2):
        with pytest.raises((GoBack, TrainingError)) as caught:
            _walk(BadSteps(half), 5, 3)
    assert "bf16" in caught.value.mend
    assert "grad_clip" not in caught.value.mend


def test_another_place_is_gone_back_from_as_well(tmp_path: Path) -> None:
    for first in (5, 8, 20):
        with pytest.raises(GoBack):
            _walk(BadSteps(_job(tmp_path)), first, 3)


def test_a_checkpoint_behind_the_place_forgets_it(tmp_path: Path) -> None:
    job = _job(tmp_path)
    with pytest.raises(GoBack):
        _walk(BadSteps(job), 5, 3)
    watch = BadSteps(job)
    watch.saved(7)
    assert list(tmp_path.iterdir())
    watch.saved(8)
    assert not list(tmp_path.iterdir())
    with pytest.raises(GoBack):
        _walk(BadSteps(job), 5, 3)
