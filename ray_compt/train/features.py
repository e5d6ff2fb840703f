"""A worker's teachers behind their feature caches, where the stage keeps any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ray_compt.teacher.cached import CachedTeacher
from ray_compt.teacher.feature_cache import CacheSpec, FeatureCache
from ray_compt.teacher.lessons import TeacherClient
from ray_compt.train.job import StageJob

Create = Callable[[], TeacherClient]


def with_caches(
    job: StageJob, creates: Sequence[Create], board: Any, *, rank: int, world: int
) -> list[TeacherClient]:
    """The client of each teacher; one with a cache is made only where features are missing from that."""

    def cached(spec: CacheSpec, create: Create) -> CachedTeacher:
        return CachedTeacher(
            FeatureCache(spec),
            create,
            order=job.order,
            rank=rank,
            world=world,
            last_step=job.distill.last_step(job.steps),
            note=lambda text: board.post.remote("note", {"text": text, "once": True}),
            computed=lambda samples: board.post.remote("features", {"computed": samples}),
        )

    caches = [teacher.cache for teacher in job.teachers]
    return [cached(spec, create) if spec else create() for spec, create in zip(caches, creates)]


def keep_features(clients: Sequence[TeacherClient]) -> None:
    """Write what has been computed so far, because this worker may end."""
    for client in clients:
        if isinstance(client, CachedTeacher):
            client.close()
