"""The teachers of a stage: held by its driver, asked by its workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch

from ray_compt.config.schema import TeacherConfig
from ray_compt.report.board import Event
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.autoscale import Bounds
from ray_compt.teacher.clients import InlineTeacher, ServedTeacher
from ray_compt.teacher.directory import state
from ray_compt.teacher.holding import gets_a_place, serving
from ray_compt.teacher.lessons import TeacherClient
from ray_compt.teacher.pool import Place
from ray_compt.teacher.service import ServiceConfig
from ray_compt.train.job import StageJob

# Share of `teacher.timeout_s`, for which workers wait, after which a replica without an answer is restarted.
HANG_SHARE = 0.25


def service_config(config: TeacherConfig) -> ServiceConfig:
    """How a chain file's teacher is served."""
    least = config.fewest_replicas
    return ServiceConfig(
        place=Place(config.cpus, config.gpus),
        replicas=Bounds(least, max(least, config.max_replicas) if config.replicas == "auto" else least),
        ttl_s=config.ttl_s,
        hang_s=HANG_SHARE * config.timeout_s,
    )


def teacher_cpus(job: StageJob) -> float:
    """Logical CPUs of a stage's teachers as services, with the fewest replicas."""
    return len(job.teachers) * job.teacher_config.fewest_replicas * job.teacher_config.cpus


@contextmanager
def held_teachers(job: StageJob, served: bool, listen: Callable[[Event], None]) -> Iterator[list[str]]:
    """Names of the services of the stage's teachers, kept while inside; none where each worker holds them."""
    if not served or not job.teachers:
        yield []
        return
    config, specs = service_config(job.teacher_config), [teacher.spec for teacher in job.teachers]
    with ExitStack() as held:
        for spec in specs:
            held.enter_context(serving(spec, config, f"stage {job.name}"))
        if all(gets_a_place(spec, config.place) for spec in specs):
            yield [spec.name for spec in specs]
            _tell_errors(specs, listen)
            return
    wanted = f"{config.place.gpus:g} GPUs" if config.place.gpus else f"{config.place.cpus:g} CPUs"
    listen(Event("note", {"text": f"no node has {wanted} free for a teacher: each worker holds its own"}))
    yield []


def teacher_clients(
    job: StageJob, services: Sequence[str], device: torch.device, rank: int, board: Any
) -> list[Callable[[], TeacherClient]]:
    """What makes a worker's client of each teacher."""
    if services:
        return [partial(ServedTeacher, name, job.teacher_config.timeout_s, rank) for name in services]

    def tell(name: str, error: float) -> None:
        board.post.remote("note", {"text": _error_line(name, error)})

    specs = [teacher.spec for teacher in job.teachers]
    return [
        partial(InlineTeacher, spec, str(device), partial(tell, spec.name) if rank == 0 else None)
        for spec in specs
    ]


def _tell_errors(specs: Sequence[TeacherSpec], listen: Callable[[Event], None]) -> None:
    for spec in specs:
        found = state(spec.name)
        if found is not None and found.error is not None:
            listen(Event("note", {"text": _error_line(spec.name, found.error)}))


def _error_line(name: str, error: float) -> str:
    return f"features of {name} differ from fp32 by at most {error:.1e} (1 - cos)"
