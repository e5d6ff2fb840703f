"""Which nodes a number of workers takes, for each node type of a cluster file that has room for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ray_compt.config.checks import legal_worker_counts
from ray_compt.config.schema import StageConfig
from ray_compt.errors import UserError
from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.cluster_file import ClusterFile, NodeType
from ray_compt.plan.cluster.collectives import make_ring
from ray_compt.plan.cluster.step import Place

GIGABIT = 1e9 / 8
# Ray counts resources in ten-thousandths.
ROUNDING = 1e-4
# A CPU core that readers keep to themselves, as `chain/placement.py` counts.
READING_CORES = 1


@dataclass(frozen=True)
class Layout:
    """A stage on nodes.

    Attributes:
        node_type: of all workers, and of the teachers' service.
        workers: number of them.
        per_node: that fit on a node.
        nodes: of that type.
        services: devices of the teachers' service; 0 without one.
        place: what a step is computed on.
    """

    node_type: NodeType
    workers: int
    per_node: int
    nodes: int
    services: float
    place: Place

    def price(self, cluster: ClusterFile) -> float:
        """US dollars of an hour, the head included; where the head does a node's work, it is that node."""
        rented = self.nodes * self.node_type.price
        return rented if self.node_type.head else rented + cluster.head.price


def find_layouts(
    cluster: ClusterFile,
    stage: StageConfig,
    lanes: int,
    *,
    teachers: int,
    wanted: int | None,
    node_type: str | None,
    given: Assumptions,
) -> list[Layout]:
    """The ways to place a stage, one for each node type that has room for all its workers; never none.

    Args:
        cluster: what there may be.
        stage: whose workers and teachers want room.
        lanes: of the sample order, which worker counts must divide.
        teachers: models that teach it; 0 for none.
        wanted: workers, or None for as many as the chain file and the cluster allow.
        node_type: the only one to look at, or None for all.
        given: assumptions.

    Raises:
        UserError: a number of workers that is not possible, an unknown node type, or none with room for one worker, for
            the fewest, or for those that are wanted.
    """
    legal = legal_worker_counts(stage.train.global_batch, lanes)
    if wanted is not None and wanted not in legal:
        raise UserError(
            f"{wanted} workers cannot share {lanes} lanes and a batch of {stage.train.global_batch} equally",
            where="--workers",
            mend=f"use one of {', '.join(map(str, legal))}, or other data.lanes (--set data.lanes=N)",
        )
    types = _with_room_for_one(_asked_for(cluster, node_type), cluster, stage)
    most = max(kind.most * _per_node(kind, stage) for kind in types)
    allowed = [count for count in legal if stage.workers.min <= count <= stage.workers.most]
    count = wanted or max((n for n in allowed if n <= most), default=stage.workers.min)
    layouts = [_lay_out(kind, stage, teachers, count, given) for kind in types]
    fitting = [layout for layout in layouts if layout.nodes <= layout.node_type.most]
    if not fitting:
        raise UserError(
            f"no room for {count} workers of stage {stage.name}"
            + (" and its teacher" if most >= count else f", only for {most}"),
            where=cluster.path,
            mend="raise max_workers there, of the cluster and of the node type"
            + (", or give fewer --workers" if wanted else ""),
        )
    return fitting


def without_teachers(layout: Layout, stage: StageConfig, given: Assumptions) -> Layout:
    """The same workers with nobody to teach them."""
    return _lay_out(layout.node_type, stage, 0, layout.workers, given)


def _asked_for(cluster: ClusterFile, name: str | None) -> Sequence[NodeType]:
    found = [kind for kind in cluster.node_types if name in (None, kind.name)]
    if not found:
        names = ", ".join(kind.name for kind in cluster.node_types)
        raise UserError(
            f"no node type {name} in {cluster.path}", where="--node-type", mend=f"use one of {names}"
        )
    return found


def _with_room_for_one(types: Sequence[NodeType], cluster: ClusterFile, stage: StageConfig) -> list[NodeType]:
    """The node types that can hold a worker: with GPUs where it wants them, without where it does not."""
    workers = stage.workers
    if workers.gpus:
        types = [kind for kind in types if kind.gpus > 0 and kind.instance.devices]
        if not types:
            raise UserError(
                f"no node type has GPUs, and a worker of stage {stage.name} wants {workers.gpus:g}",
                where=cluster.path,
                mend="add a node type with GPUs, or train on CPUs: --set workers.gpus=0 --set train.precision=fp32",
            )
    else:
        types = [kind for kind in types if not kind.instance.devices]
        if not types:
            raise UserError(
                f"all node types have GPUs, and stage {stage.name} trains on CPUs",
                where=cluster.path,
                mend="add a node type without GPUs, or train on GPUs: --set workers.gpus=1",
            )
    found = [kind for kind in types if _per_node(kind, stage) and kind.most]
    if not found:
        largest = max(types, key=lambda kind: (kind.gpus, kind.cpus))
        raise UserError(
            f"a worker of stage {stage.name} wants {workers.gpus:g} GPUs and {workers.cpus:g} CPUs; the largest node "
            f"type, {largest.name}, has {largest.gpus:g} and {largest.cpus:g}"
            + ("" if largest.most else ", and there may be none of it"),
            where=largest.place,
            mend="rent larger nodes, or ask for less: --set workers.cpus=N",
        )
    return found


def _per_node(kind: NodeType, stage: StageConfig) -> int:
    workers = stage.workers
    by_cpus = (kind.cpus + ROUNDING) / workers.cpus
    by_gpus = (kind.gpus + ROUNDING) / workers.gpus if workers.gpus else math.inf
    return int(min(by_cpus, by_gpus))


def _lay_out(kind: NodeType, stage: StageConfig, teachers: int, count: int, given: Assumptions) -> Layout:
    """`count` workers on nodes of a type, and the teachers where `chain/placement.py` would put them."""
    per_node = _per_node(kind, stage)
    nodes = math.ceil(count / per_node)
    nodes, services = _teach(kind, stage, teachers, count, nodes)
    device, instance = kind.instance.device, kind.instance
    network = instance.network_gbit * GIGABIT * given.network_share
    amount = stage.workers.gpus if stage.workers.gpus else stage.workers.cpus
    ring = make_ring(
        count, per_node, device.link * given.network_share, network, given.link_hop_s, given.hop_s
    )
    place = Place(device, amount, ring, per_node, instance.vcpus, network, services)
    return Layout(kind, count, per_node, nodes, services, place)


def _teach(kind: NodeType, stage: StageConfig, teachers: int, count: int, nodes: int) -> tuple[int, float]:
    """Nodes with the teachers' service on them, and its devices; 0 devices where the workers teach themselves."""
    teacher, workers = stage.teacher, stage.workers
    each = teacher.gpus if workers.gpus else teacher.cpus
    devices = teachers * teacher.fewest_replicas * each
    if not devices or teacher.placement == "inline":
        return nodes, 0.0
    own, used = (kind.gpus, workers.gpus) if workers.gpus else (kind.cpus, workers.cpus)
    spare = nodes * own - count * used - (0 if workers.gpus else READING_CORES)
    if spare + ROUNDING >= devices:
        return nodes, devices
    if teacher.placement == "actor":
        return nodes + math.ceil((devices - max(0.0, spare)) / own), devices
    return nodes, 0.0
