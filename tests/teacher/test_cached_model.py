"""The cache around a real teacher: kept features are those of the pictures that a later epoch really draws."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ray_compt.config.schema import DataConfig
from ray_compt.data import Batch, Order, make_preprocess, open_index
from ray_compt.models import build_model, save_model
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.cached import CachedTeacher
from ray_compt.teacher.clients import InlineTeacher
from ray_compt.teacher.feature_cache import CacheSpec, FeatureCache
from ray_compt.teacher.lessons import TeacherClient, lessons
from ray_compt.teacher.spec import weights_digest
from tests.integration.harness import tiny_model

MODEL = tiny_model(16)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
# As in the pipeline's tests, one row a sample.
Found = dict[tuple[int, str], tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def teacher(tmp_path: Path) -> TeacherSpec:
    folder = tmp_path / "teacher"
    save_model(folder, build_model(MODEL, seed=1).state_dict(), MODEL, mean=MEAN, std=STD)
    return TeacherSpec(str(folder), weights_digest(str(folder)), MEAN, STD)


class World:
    """Batches of digits as the pipeline makes them, and who has been asked for their features."""

    def __init__(self, cache: Path, augment_epochs: int | None):
        data = DataConfig(
            train="builtin:digits/val", image_size=8, captions_per_image=2, augment_epochs=augment_epochs
        )
        self.index = open_index("builtin:digits/val", data, cache)
        self.order = Order(5, self.index.sizes, 128, 4, 1)
        self.preprocess = make_preprocess(data, MODEL, seed=5)
        self.cache = CacheSpec(str(cache), {}, MODEL["embed_dim"], 2, augment_epochs)
        self.steps = 2 * self.order.batches_per_epoch

    def batch(self, step: int, rank: int, world: int) -> Batch:
        epoch, b = divmod(step, self.order.batches_per_epoch)
        raws = [next(self.index.read(s, i, i + 1)) for s, i in self.order.share(epoch, b, rank, world)]
        images, texts = zip(*(self.preprocess.train(raw, epoch) for raw in raws))
        valid = torch.ones(len(raws), dtype=torch.bool)
        return Batch(step, torch.stack(images), torch.stack(texts), valid, [raw.key for raw in raws])

    def features(self, client: TeacherClient, rank: int, world: int) -> Found:
        """Both features of each sample, by step and key."""
        found: Found = {}
        batches = (self.batch(step, rank, world) for step in range(self.steps))
        for lesson in lessons(batches, [client], self.steps):
            assert lesson.features is not None
            [features] = lesson.features
            found |= {(lesson.batch.step, key): pair for key, *pair in zip(lesson.batch.keys, *features)}
        return found

    def cached(self, spec: TeacherSpec | None, rank: int, world: int) -> CachedTeacher:
        def create() -> TeacherClient:
            assert spec is not None, "the cache should have known"
            return InlineTeacher(spec, "cpu")

        return CachedTeacher(
            FeatureCache(self.cache),
            create,
            order=self.order,
            rank=rank,
            world=world,
            last_step=self.steps,
            note=pytest.fail,
            computed=lambda _: None,
        )


@pytest.mark.parametrize("augment_epochs", [None, 1])
def test_kept_features_are_the_teachers_in_every_epoch(
    tmp_path: Path, teacher: TeacherSpec, augment_epochs
) -> None:
    world = World(tmp_path / "cache", augment_epochs)
    wanted = world.features(InlineTeacher(teacher, "cpu"), 0, 1)
    client = world.cached(teacher, 0, 1)
    first = world.features(client, 0, 1)
    client.close()
    again = world.features(world.cached(None, 0, 2), 0, 2) | world.features(world.cached(None, 1, 2), 1, 2)
    assert wanted.keys() == first.keys() == again.keys()
    for name, pair in wanted.items():
        for one, two, three in zip(pair, first[name], again[name]):
            assert torch.equal(two, three)
            torch.testing.assert_close(two, one, rtol=2**-10, atol=1e-6)
