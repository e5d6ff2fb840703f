"""Batches meet their own features, requests run ahead, and nothing is left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ray_compt.data import Batch
from ray_compt.teacher.clients import InlineTeacher
from ray_compt.teacher.lessons import Early, Features, lessons
from tests.teacher.models import make_batches, make_teacher


class _Echo:
    """Answers with the number of the step; notes what it was asked for."""

    def __init__(self, early: Early):
        self.early = early
        self.asked: list[int] = []

    def request(self, batch: Batch) -> int:
        self.asked.append(batch.step)
        return batch.step

    def result(self, request: int) -> Features:
        return torch.tensor([request]), torch.tensor([request])


@pytest.mark.parametrize("early", list(Early))
@pytest.mark.parametrize("ahead", [1, 3])
def test_every_batch_meets_its_own_features_until_they_stop(early: Early, ahead: int) -> None:
    clients = [_Echo(early), _Echo(early)]
    found = list(lessons(make_batches(6), clients, last_step=4, ahead=ahead))
    assert [lesson.batch.step for lesson in found] == list(range(6))
    assert [lesson.features is None for lesson in found] == [False] * 4 + [True] * 2
    for lesson in found[:4]:
        assert lesson.features is not None
        assert [int(image) for image, _ in lesson.features] == [lesson.batch.step] * 2
    assert clients[0].asked == clients[1].asked == [0, 1, 2, 3]


def test_without_a_teacher_no_batch_has_features() -> None:
    assert [lesson.features for lesson in lessons(make_batches(2), [], last_step=2)] == [None, None]


def test_requests_run_ahead_but_no_further_than_asked() -> None:
    """While step 0 is being computed, `ahead` are ready and one more is on its way."""
    client = _Echo(Early.ANY_TIME)
    found = lessons(make_batches(9), [client], last_step=9, ahead=2)
    assert next(found).batch.step == 0
    until = time.monotonic() + 10
    while len(client.asked) < 4 and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert client.asked == [0, 1, 2, 3]
    found.close()


def test_between_steps_requests_run_ahead_of_the_step() -> None:
    client = _Echo(Early.BETWEEN_STEPS)
    found = lessons(make_batches(9), [client], last_step=9, ahead=2)
    assert next(found).batch.step == 0
    assert client.asked == [0, 1, 2]


def test_an_error_of_the_loader_comes_in_its_place() -> None:
    def broken() -> Iterator[Batch]:
        yield from make_batches(2)
        raise OSError("disk")

    found = lessons(broken(), [_Echo(Early.ANY_TIME)], last_step=9)
    assert [next(found).batch.step, next(found).batch.step] == [0, 1]
    with pytest.raises(OSError, match="disk"):
        next(found)


def test_whoever_stops_early_leaves_no_thread() -> None:
    found = lessons(make_batches(9), [_Echo(Early.ANY_TIME)], last_step=9)
    next(found)
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "asking"]


def test_a_teacher_in_the_process_answers_its_models_features(tmp_path: Path) -> None:
    client = InlineTeacher(make_teacher(tmp_path), "cpu")
    [batch] = make_batches(1)
    [lesson] = lessons([batch], [client], last_step=1)
    assert lesson.features is not None
    [(image, text)] = lesson.features
    assert image.shape == (4, 16) and text.shape == (4, 2, 16)
    torch.testing.assert_close(image.norm(dim=-1), torch.ones(4))
    assert not image.is_inference()


def test_a_teacher_in_the_process_tells_once_how_far_it_is_from_fp32(tmp_path: Path) -> None:
    told: list[float] = []
    client = InlineTeacher(make_teacher(tmp_path, precision="bf16"), "cpu", told.append)
    for _ in lessons(make_batches(2), [client], last_step=2):
        pass
    assert len(told) == 1 and 1e-7 < told[0] < 1e-2


def test_a_teacher_in_fp32_has_no_error_to_tell(tmp_path: Path) -> None:
    told: list[float] = []
    client = InlineTeacher(make_teacher(tmp_path), "cpu", told.append)
    for _ in lessons(make_batches(1), [client], last_step=1):
        pass
    assert not told
