"""Small worlds of the feature cache: features that say which sample they belong to, and who was asked for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ray_compt.data import Batch, Order
from ray_compt.data.randomness import draw_epoch
from ray_compt.teacher.cached import CachedTeacher
from ray_compt.teacher.feature_cache import CacheSpec, FeatureCache
from ray_compt.teacher.lessons import Early

WIDTH, CAPTIONS = 3, 2


def spec(path: Any, augment_epochs: int | None = None, **identity: Any) -> CacheSpec:
    return CacheSpec(str(path), {"teacher": "t", **identity}, WIDTH, CAPTIONS, augment_epochs)


def batch(order: Order, step: int, rank: int, world: int, augment_epochs: int | None = None) -> Batch:
    """A worker's batch whose picture says (shard, number in the shard, drawn epoch)."""
    epoch, b = divmod(step, order.batches_per_epoch)
    rows = order.share(epoch, b, rank, world)
    draw = draw_epoch(epoch, augment_epochs)
    image = torch.tensor([[shard, i, draw] for shard, i in rows], dtype=torch.uint8).reshape(-1, 3, 1, 1)
    text = torch.arange(CAPTIONS).reshape(1, CAPTIONS, 1).repeat(len(rows), 1, 1)
    return Batch(step, image, text, torch.ones(len(rows), dtype=torch.bool), [f"{s}/{i}" for s, i in rows])


def features_of(asked: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """float32 [n, E] and [n, K, E], another value for every sample, drawn epoch and caption; no float16."""
    image = asked.image.reshape(len(asked.image), 3).float() / 7
    return image, image[:, None] + asked.text.float() / 9


class Teacher:
    """Answers `features_of`, and remembers which samples it was asked for."""

    early = Early.NOTHING

    def __init__(self) -> None:
        self.asked: list[str] = []

    def request(self, asked: Batch) -> Batch:
        self.asked += asked.keys
        return asked

    def result(self, request: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return features_of(request)


class Stage:
    """Runs steps of a stage on every worker in turn, one request ahead, and checks every feature."""

    def __init__(self, order: Order, cache: CacheSpec, last_step: int):
        self.order, self.spec, self.last_step = order, cache, last_step
        self.notes: list[str] = []
        self.teacher = Teacher()
        self.created = self.computed = 0

    def _create(self) -> Teacher:
        self.created += 1
        return self.teacher

    def client(self, rank: int, world: int) -> CachedTeacher:
        return CachedTeacher(
            FeatureCache(self.spec),
            self._create,
            order=self.order,
            rank=rank,
            world=world,
            last_step=self.last_step,
            note=self.notes.append,
            computed=self._count,
        )

    def _count(self, samples: int) -> None:
        self.computed += samples

    def run(self, world: int, first: int = 0, stop: int | None = None, unreadable: str = "") -> Stage:
        """Steps [first, stop); `unreadable` is the key of a sample that cannot be read."""
        steps = range(first, self.last_step if stop is None else stop)
        for rank in range(world):
            client = self.client(rank, world)
            waiting: list[Any] = []
            for step in steps:
                asked = batch(self.order, step, rank, world, self.spec.augment_epochs)
                asked.valid[[key == unreadable for key in asked.keys]] = False
                waiting.append((asked, client.request(asked)))
                if len(waiting) == 2:
                    check(client, *waiting.pop(0))
            for pair in waiting:
                check(client, *pair)
            client.close()
        assert self.computed == len(self.teacher.asked)
        return self


def check(client: CachedTeacher, asked: Batch, request: Any) -> None:
    found = client.result(request)
    for part, wanted in zip(found, features_of(asked)):
        rounded = wanted.numpy().astype(np.float16).astype(np.float32)
        assert np.array_equal(part.numpy()[asked.valid], rounded[asked.valid])
