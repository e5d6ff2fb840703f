"""Which resources a chain needs, and where a stage's teacher runs."""

from __future__ import annotations

from ray_compt.config.schema import StageConfig, WorkersConfig
from ray_compt.train.cluster import usable_cores

READING_CORES = 1


def within_machine(workers: WorkersConfig) -> WorkersConfig:
    """No more workers than this machine has cores for: where we start Ray, its own count of CPUs is ours."""
    fitting = int(usable_cores() // workers.cpus)
    return workers.model_copy(update={"max": max(workers.min, min(workers.most, fitting))})


def place_teachers(stage: StageConfig, count: int) -> tuple[bool, str]:
    """Whether a stage's teachers, `count` copies in all, are services, and why.

    A service pays where a device is left for it beside the workers; on a device that they fill, computing
    the features inside each worker costs the same and moves no data.
    """
    import ray

    if stage.teacher.placement != "auto":
        return stage.teacher.placement == "actor", "as teacher.placement says"
    if stage.workers.gpus:
        spare = ray.cluster_resources().get("GPU", 0) - stage.workers.most * stage.workers.gpus
        if stage.teacher.gpus and spare >= count * stage.teacher.gpus:
            return True, f"{spare:g} GPUs are left beside the workers"
        return False, "no GPU is left beside the workers"
    spare = _cores() - stage.workers.most * stage.workers.cpus - READING_CORES
    if spare >= count * stage.teacher.cpus:
        return True, f"{spare:g} of {_cores():g} CPU cores are left beside the workers and their readers"
    return False, "no CPU core is left beside the workers and their readers"


def _cores() -> float:
    """Real cores: on this machine we tell Ray a larger number, so that readers and workers can share them."""
    import ray

    nodes = [node for node in ray.nodes() if node["Alive"]]
    return usable_cores() if len(nodes) == 1 else ray.cluster_resources().get("CPU", 0)
