"""The only module of this room that touches Ray's internals, those of Ray 2.60.

`tests/integration/test_ray_internals.py` fails when another Ray has moved them.
"""

from __future__ import annotations

import ray
from ray.data import ExecutionResources
from ray.data._internal.cluster_autoscaler.rate_based_cluster_autoscaler import RateBasedClusterAutoscaler
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def nearby() -> NodeAffinitySchedulingStrategy:
    """On this worker's node where there is room, else anywhere.

    Ray's own choice, to spread, would send the next task to a node that has just joined, and the batches, whose order
    is kept, would wait while that task's process starts.
    """
    here = ray.get_runtime_context().get_node_id()
    return NodeAffinitySchedulingStrategy(here, soft=True, _spill_on_unavailable=True)


def plan_with_the_whole_cluster() -> None:
    """Let Ray Data in this process plan with what the cluster has; how many tasks run is decided by us.

    It would plan with what Ray Train leaves over, which asks for the most workers that the stage may ever have. Without
    GPUs that can be every CPU: nothing is left, and the executor spins in this process and slows training down fourfold
    (measured: benchmarks/elastic.py).
    """
    RateBasedClusterAutoscaler.get_total_resources = _whole_cluster


def _whole_cluster(_: RateBasedClusterAutoscaler) -> ExecutionResources:
    return ExecutionResources.from_resource_dict(ray.cluster_resources())
