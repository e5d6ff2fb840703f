"""The teacher: the same features inside a worker and from the actor, which comes back after it was killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray
import torch

from ray_compt.data import Batch
from ray_compt.distill.teacher import (
    ActorTeacher,
    InlineTeacher,
    TeacherSpec,
    start_teacher,
    with_features,
)
from ray_compt.errors import TrainingError
from ray_compt.models import build_model, save_model
from tests.integration.harness import tiny_model

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)


@pytest.fixture
def spec(tmp_path: Path) -> TeacherSpec:
    config = tiny_model(32)
    save_model(tmp_path, build_model(config, seed=1).state_dict(), config, mean=MEAN, std=STD)
    return TeacherSpec(str(tmp_path), MEAN, STD)


def _batches(count: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    return [
        Batch(
            step,
            torch.randint(0, 256, (4, 3, 8, 8), generator=generator, dtype=torch.uint8),
            torch.randint(1, 49406, (4, 2, 10), generator=generator),
            torch.ones(4, dtype=torch.bool),
            ["k"] * 4,
        )
        for step in range(count)
    ]


def test_features_are_those_of_the_model_for_each_batch_until_they_stop(spec: TeacherSpec) -> None:
    """Requests run ahead; every batch must still meet its own answers, and none is asked for after the end."""
    batches = _batches(5)
    other = replace(spec, mean=STD, std=MEAN)
    clients = [InlineTeacher(one, "cpu") for one in (spec, other)]
    pairs = list(with_features(batches, clients, last_step=3))
    assert [batch.step for batch, _ in pairs] == list(range(5))
    assert [features is None for _, features in pairs] == [False, False, False, True, True]
    for batch, features in pairs[:3]:
        wanted = [client.result(batch) for client in clients]
        for (image, text), (wanted_image, wanted_text) in zip(features, wanted, strict=True):
            assert torch.equal(image, wanted_image) and torch.equal(text, wanted_text)
            torch.testing.assert_close(image.norm(dim=-1), torch.ones(4))
            assert image.shape == (4, 16) and text.shape == (4, 2, 16)
        assert not torch.equal(features[0][0], features[1][0]), "each normalises as it was trained"


def test_the_actor_answers_the_same_bits_and_survives_its_death(own_ray: str, spec: TeacherSpec) -> None:
    batches = _batches(12)
    inline = InlineTeacher(spec, "cpu")
    wanted = [inline.result(batch) for batch in batches]
    actor = start_teacher(spec, cpus=1, gpus=0)
    client = ActorTeacher(actor, timeout_s=120)
    ray.get(actor.ready.remote(), timeout=120)
    victim = next(
        p for p in psutil.process_iter(["cmdline"]) if "ray::Teacher" in " ".join(p.info["cmdline"] or [])
    )

    def kill() -> None:
        time.sleep(0.05)
        os.kill(victim.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    found = []
    for _, (features,) in with_features(batches, [client], last_step=12):
        found.append(features)
        time.sleep(0.05)
    killer.join()
    assert not victim.is_running()
    for (image, text), (wanted_image, wanted_text) in zip(found, wanted):
        assert torch.equal(image, wanted_image) and torch.equal(text, wanted_text)
    ray.kill(actor)


class _Deaf:
    def features(self, images: np.ndarray, tokens: np.ndarray) -> None:
        time.sleep(60)


def test_a_teacher_that_does_not_answer_is_an_error_with_a_mend(own_ray: str) -> None:
    actor = ray.remote(_Deaf).remote()
    client = ActorTeacher(actor, timeout_s=0.5)
    batch = _batches(1)[0]
    with pytest.raises(TrainingError, match="has not answered for 0.5 s"):
        client.result(client.request(batch))
    ray.kill(actor)
