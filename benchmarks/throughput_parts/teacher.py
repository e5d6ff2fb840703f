"""What a teacher costs: a stage with one over the same stage without, by where the teacher computes.

"Own core": the students' processes are held on the first core, the teacher and everything else on the second, which
stands for a teacher on a device of its own. "Shared core": the teacher's process is held on the students' core.
Readers, Ray and the driver stay on the second core in both.

On a GPU, which students and teacher share, nothing is held anywhere: a "service" is a process of its own with half of
the GPU, "inline" the students' own process; the teacher computes in bf16.
"""

from __future__ import annotations

from typing import Any

from benchmarks.throughput_parts.process import Pins
from benchmarks.throughput_parts.spread import Spread, spread
from benchmarks.throughput_parts.trainers import Ground, stage_rate, train
from ray_compt.models import count_macs

WORKER, TEACHER = "ray::RayTrainWorker", "ray::TeacherReplica"
STAGE = "02-student"
PLACES = ("own core", "shared core")
GPU_PLACES = ("service", "inline")


def teacher_overhead(ground: Ground, repeats: int, workers: tuple[int, ...]) -> dict[str, dict[str, Spread]]:
    """Stage time with a teacher over without, by number of workers and place; runs take turns.

    Raises:
        ValueError: there are not two cores.
    """
    if ground.setting.gpu:
        return {"1": _of_workers(ground, repeats, 1)}
    if len(ground.cores) < 2:
        raise ValueError("the teacher's cost needs two cores")
    return {str(count): _of_workers(ground, repeats, count) for count in workers}


def macs_ratio(ground: Ground) -> float:
    """Multiply-accumulates of a training step with the teacher's forward over those without."""
    student, teacher = (count_macs(model) for model in (ground.setting.model, ground.setting.teacher))
    trained = 3 * (student.image + student.text)
    return (trained + teacher.image + teacher.text) / trained


def _of_workers(ground: Ground, repeats: int, workers: int) -> dict[str, Spread]:
    places = GPU_PLACES if ground.setting.gpu else PLACES
    found: dict[str, list[float]] = {place: [] for place in places}
    for number in range(repeats):
        without = _rate(ground, f"without_{workers}_{number}", workers, distils=False, place=places[0])
        for place in places:
            name = f"{place.replace(' ', '_')}_{workers}_{number}"
            found[place].append(without / _rate(ground, name, workers, distils=True, place=place))
            print(f"teacher, {workers} workers, {place}: {found[place][-1]:.3f}", flush=True)
    return {place: spread(ratios) for place, ratios in found.items()}


def _rate(ground: Ground, name: str, workers: int, *, distils: bool, place: str) -> float:
    """Samples a second of a student's stage."""
    setting = ground.setting
    gpus = 0.5 if setting.gpu else 0
    chain = {
        # All students are held on one core.
        "workers": {"min": workers, "max": workers, "cpus": 1 if setting.gpu else 1 / workers, "gpus": gpus},
        "teacher": {
            "placement": "inline" if place == "inline" else "actor",
            "cpus": 0.5,
            "gpus": gpus,
            "precision": "bf16" if setting.gpu else "fp32",
        },
        "transfer": {"growth": "random", "distill": {"weight": 2.0 if distils else 0.0, "stop_at": 1.0}},
        "stages": [
            {"model": setting.teacher, "epochs": 2 / ground.steps_an_epoch, "name": "teacher"},
            {"model": setting.model, "epochs": setting.steps / ground.steps_an_epoch, "name": "student"},
        ],
    }
    folder, _ = train(ground, name, chain, None if setting.gpu else _pins(ground, place))
    return stage_rate(setting, folder / STAGE)


def _pins(ground: Ground, place: str) -> Pins:
    first, second, *_ = sorted(ground.cores)
    students, others = frozenset({first}), frozenset({second})
    # The empty title: everything else.
    return {WORKER: students, TEACHER: others if place == PLACES[0] else students, "": others}


def to_json(overhead: dict[str, dict[str, Spread]]) -> dict[str, Any]:
    return {
        workers: {place.replace(" ", "_"): value.to_json() for place, value in places.items()}
        for workers, places in overhead.items()
    }
