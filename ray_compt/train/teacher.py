"""The teacher of a stage: held by its driver, asked by its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from ray_compt.config.schema import TeacherConfig
from ray_compt.report.board import Event
from ray_compt.teacher.autoscale import Bounds
from ray_compt.teacher.clients import InlineTeacher, ServedTeacher
from ray_compt.teacher.directory import state
from ray_compt.teacher.holding import gets_a_place, serving
from ray_compt.teacher.lessons import TeacherClient
from ray_compt.teacher.pool import Place
from ray_compt.teacher.service import ServiceConfig
from ray_compt.train.job import StageJob

# Most samples that a teacher runs at once where the chain file does not say.
MOST_ROWS = 256
# Seconds without an answer after which a replica is restarted; its workers wait for `teacher.timeout_s`.
HANG_SHARE = 0.25


def fewest_replicas(config: TeacherConfig) -> int:
    return 1 if config.replicas == "auto" else config.replicas


def service_config(config: TeacherConfig) -> ServiceConfig:
    """How a chain file's teacher is served."""
    least = fewest_replicas(config)
    return ServiceConfig(
        place=Place(config.cpus, config.gpus),
        replicas=Bounds(least, max(least, config.max_replicas) if config.replicas == "auto" else least),
        ttl_s=config.ttl_s,
        hang_s=HANG_SHARE * config.timeout_s,
    )


@contextmanager
def held_teacher(job: StageJob, served: bool, listen: Callable[[Event], None]) -> Iterator[str | None]:
    """The name of the stage's service, kept while inside; None where each worker holds the teacher or there is none."""
    if job.teacher is None or not served:
        yield None
        return
    config = service_config(job.teacher_config)
    with serving(job.teacher, config, f"stage {job.name}"):
        if gets_a_place(job.teacher, config.place):
            yield job.teacher.name
            _tell_error(job, listen)
            return
    place = config.place
    wanted = f"{place.gpus:g} GPUs" if place.gpus else f"{place.cpus:g} CPUs"
    listen(Event("note", {"text": f"no node has {wanted} for the teacher: it moves into each worker"}))
    yield None


def teacher_clients(
    job: StageJob, service: str | None, device: torch.device, rank: int
) -> list[TeacherClient]:
    """How a worker asks for the features that it needs."""
    if job.teacher is None:
        return []
    if service is not None:
        return [ServedTeacher(service, job.teacher_config.timeout_s, turn=rank)]
    return [InlineTeacher(job.teacher, str(device))]


def _tell_error(job: StageJob, listen: Callable[[Event], None]) -> None:
    assert job.teacher is not None
    found = state(job.teacher.name)
    if found is not None and found.error is not None:
        text = f"the teacher's features in {found.precision} differ from fp32 by at most {found.error:.1e} (1 - cos)"
        listen(Event("note", {"text": text}))
