"""A worker's teacher behind the feature cache, where the stage keeps one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_compt.distill.cached import CachedTeacher
from ray_compt.distill.feature_cache import FeatureCache
from ray_compt.distill.teacher import TeacherClient
from ray_compt.train.job import StageJob


def with_cache(
    job: StageJob, create: Callable[[], TeacherClient | None], board: Any, *, rank: int, world: int
) -> TeacherClient | None:
    """The client that `create` makes, or one that makes it only where features are missing from the cache."""
    if job.cache is None or job.teacher is None:
        return create()

    def teacher() -> TeacherClient:
        client = create()
        assert client is not None
        return client

    return CachedTeacher(
        FeatureCache(job.cache),
        teacher,
        order=job.order,
        rank=rank,
        world=world,
        last_step=job.distill.last_step(job.steps),
        note=lambda text: board.post.remote("note", {"text": text, "once": True}),
        computed=lambda samples: board.post.remote("features", {"computed": samples}),
    )


def keep_features(client: TeacherClient | None) -> None:
    """Write what has been computed so far, because this worker may end."""
    if isinstance(client, CachedTeacher):
        client.close()
