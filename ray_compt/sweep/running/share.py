"""How many workers each of several stages may have on one cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ray_compt.config.schema import WorkersConfig
from ray_compt.train.scaling import READING_TASKS, places


def fair_share(
    cluster: Mapping[str, float], workers: WorkersConfig, reader_cpus: float, running: int
) -> int | None:
    """Most workers that one of `running` stages may have, at least its fewest; None where it is alone.

    Args:
        cluster: resources of all nodes together.
        workers: the stage's section of the chain file.
        reader_cpus: logical CPUs of one of its reading tasks.
        running: stages that share the cluster, this one among them.
    """
    if running < 2:
        return None
    wanted = {"CPU": workers.cpus + READING_TASKS * reader_cpus, "GPU": workers.gpus}
    return max(workers.min, places({"the cluster": cluster}, wanted) // running)
