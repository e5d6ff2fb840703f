"""A process for the first reading task, started before it is needed.

A reading task takes a fraction of a second; the process that runs it takes seconds to start and to import torch. This
module is light: it is imported before everything else.
"""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

# Longest wait for the process; a cold one is started then.
WAIT_S = 20.0


def start_reader() -> Any:
    """Let a process on this node import what reading tasks need; returns a reference that is ready when it has.

    Ray gives the process to the next task of the same kind, the first reading task, if that follows soon.
    """
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(_import).options(num_cpus=0, scheduling_strategy=here).remote()


def wait_for_reader(reader: Any) -> None:
    ray.wait([reader], timeout=WAIT_S)


def _import() -> None:

    pass
