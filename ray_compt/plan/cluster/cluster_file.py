"""Reads what an estimate needs of a `ray up` configuration: node types, how many there may be, what each costs.

Known are the providers aws, gcp and azure, and `local` for one's own machines, which cost nothing here: there a node
type says what it has in `resources` (CPU, GPU, and the device as `accelerator_type:NAME`) and how fast its network is
in `node_config: {network_gbit: N}`. All other keys are Ray's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray_compt.config.load import read_tree
from ray_compt.config.tree import Node
from ray_compt.errors import UserError
from ray_compt.plan.cluster.devices import DEVICES, VCPU, find_device
from ray_compt.plan.cluster.instances import ATTACHED, Instance, find_instance

CLOUDS = ("aws", "gcp", "azure", "local")
# Ray's default of the cluster's `max_workers`.
MOST_NODES = 2
ACCELERATOR = "accelerator_type:"
LOCAL_GBIT = 10.0


@dataclass(frozen=True)
class NodeType:
    """One entry of `available_node_types`.

    Attributes:
        name: its key.
        instance: what it rents.
        spot: as a spot or preemptible machine.
        most: nodes of it that there may be.
        cpus, gpus: as Ray counts them on a node: `resources`, else the instance's.
        head: the head node is of this type.
        place: file and line.
    """

    name: str
    instance: Instance
    spot: bool
    most: int
    cpus: float
    gpus: float
    head: bool
    place: str

    @property
    def price(self) -> float:
        """US dollars of an hour."""
        return self.instance.spot_price if self.spot else self.instance.price


@dataclass(frozen=True)
class ClusterFile:
    """A cluster as its file allows it.

    Attributes:
        path: of the file.
        cloud: aws, gcp, azure or local.
        node_types: in the file's order.
    """

    path: str
    cloud: str
    node_types: tuple[NodeType, ...]

    @property
    def head(self) -> NodeType:
        return next(kind for kind in self.node_types if kind.head)


def read_cluster(path: str | Path) -> ClusterFile:
    """Read a `ray up` configuration.

    Raises:
        UserError: no such file, malformed YAML, a provider or instance type that the tables do not know, or no node
            types; with file and line.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError("no such cluster file", where=str(path), mend="give a configuration of `ray up`")
    begin = "begin with cluster_name: and provider:"
    tree = read_tree(file, "a cluster file", begin, "docs/cluster_costs.md", aliases=True)
    cloud = _cloud(tree)
    types = tree.find(["available_node_types"])
    if types is None or not types.mapping or not types.value:
        where = tree.nearest(["available_node_types"]).place
        raise UserError("no node types", where=where, mend="write available_node_types, as `ray up` takes it")
    head = _head(tree, types)
    whole = _number(tree, "max_workers", MOST_NODES)
    found = tuple(_node_type(name, node, cloud, name == head, whole) for name, node in types.value.items())
    return ClusterFile(str(path), cloud, found)


def _cloud(tree: Node) -> str:
    node = tree.find(["provider", "type"])
    cloud = node.value if node else None
    if cloud not in CLOUDS:
        shown = "no provider" if cloud is None else f"no prices for the provider {cloud}"
        raise UserError(
            shown,
            where=tree.nearest(["provider", "type"]).place,
            mend=f"write provider: {{type: ...}} with one of {', '.join(CLOUDS)}",
        )
    return str(cloud)


def _head(tree: Node, types: Node) -> str:
    node = tree.find(["head_node_type"])
    name = node.value if node else None
    if name is None and len(types.value) == 1:
        return str(next(iter(types.value)))
    if name not in types.value:
        raise UserError(
            f"the head's node type {name} is not there" if name else "the head has no node type",
            where=tree.nearest(["head_node_type"]).place,
            mend=f"write head_node_type: one of {', '.join(types.value)}",
        )
    return str(name)


def _node_type(name: str, node: Node, cloud: str, head: bool, whole: int) -> NodeType:
    instance, spot = _RENTED[cloud](node)
    most = min(_number(node, "max_workers", whole), whole) + head
    cpus = _resource(node, "CPU", instance.vcpus)
    gpus = _resource(node, "GPU", instance.devices)
    return NodeType(name, instance, spot, most, cpus, gpus, head, node.place)


def _aws(node: Node) -> tuple[Instance, bool]:
    market = _plain(node, "node_config", "InstanceMarketOptions", "MarketType")
    return find_instance("aws", *_named(node, "node_config", "InstanceType")), market == "spot"


def _gcp(node: Node) -> tuple[Instance, bool]:
    instance = find_instance("gcp", *_named(node, "node_config", "machineType"))
    scheduling = _plain(node, "node_config", "scheduling")
    entries = scheduling if isinstance(scheduling, list) else [scheduling]
    spot = any(
        isinstance(entry, dict) and (entry.get("preemptible") or entry.get("provisioningModel") == "SPOT")
        for entry in entries
    )
    return _with_attached(instance, node), spot


def _with_attached(instance: Instance, node: Node) -> Instance:
    """A Google machine with the GPUs that are attached to it; those of A2, A3 and G2 belong to the machine."""
    attached = node.find(["node_config", "guestAccelerators"])
    if instance.devices or attached is None or not attached.value:
        return instance
    first = next(iter(attached.children()))
    kind = str(_plain(first, "acceleratorType")).rpartition("/")[2]
    count = _number(first, "acceleratorCount", 1)
    if kind not in ATTACHED:
        raise UserError(
            f"no price for the accelerator {kind}",
            where=first.place,
            mend=f"use one of {', '.join(ATTACHED)}, or a machine type with GPUs of its own",
        )
    device, price, spot = ATTACHED[kind]
    return replace(
        instance,
        device=DEVICES[device],
        devices=count,
        price=instance.price + count * price,
        spot_price=instance.spot_price + count * spot,
    )


def _azure(node: Node) -> tuple[Instance, bool]:
    path = ("node_config", "azure_arm_parameters")
    spot = str(_plain(node, *path, "priority")).lower() == "spot"
    return find_instance("azure", *_named(node, *path, "vmSize")), spot


def _local(node: Node) -> tuple[Instance, bool]:
    resources = _plain(node, "resources")
    resources = resources if isinstance(resources, dict) else {}
    cpus, gpus = _resource(node, "CPU", 0), int(_resource(node, "GPU", 0))
    named = next((key for key in resources if key.startswith(ACCELERATOR)), None)
    if not cpus or (gpus and not named):
        raise UserError(
            "nothing says what GPUs these are" if cpus else "nothing says how many CPUs a node has",
            where=node.nearest(["resources"]).place,
            mend='write for example resources: {"CPU": 16, "GPU": 1, "accelerator_type:L4": 1}',
        )
    device = find_device(named.removeprefix(ACCELERATOR), node.place) if gpus and named else DEVICES[VCPU]
    gbit = _plain(node, "node_config", "network_gbit")
    network = float(gbit) if isinstance(gbit, (int, float)) and gbit > 0 else LOCAL_GBIT
    return Instance("local", "own machine", device, gpus, cpus, network, 0.0, 0.0), False


_RENTED: dict[str, Callable[[Node], tuple[Instance, bool]]] = {
    "aws": _aws,
    "gcp": _gcp,
    "azure": _azure,
    "local": _local,
}


def _named(node: Node, *path: str) -> tuple[str, str]:
    """The instance type that is written at `path`, and its place."""
    found = node.find(path)
    if found is None or not isinstance(found.value, str):
        raise UserError(
            "the node type does not say what it rents",
            where=node.nearest(path).place,
            mend=f"write {'.'.join(path)}",
        )
    return found.value, found.place


def _number(node: Node, key: str, default: int) -> int:
    found = node.find([key])
    if found is None:
        return default
    if isinstance(found.value, bool) or not isinstance(found.value, int) or found.value < 0:
        raise UserError(
            f"{key}: {found.value} is no number of nodes", where=found.place, mend="write 0, 1, 2, ..."
        )
    return found.value


def _resource(node: Node, name: str, default: float) -> float:
    amount = _plain(node, "resources", name)
    return (
        float(amount) if isinstance(amount, (int, float)) and not isinstance(amount, bool) else float(default)
    )


def _plain(node: Node, *path: str) -> Any:
    found = node.find(path)
    return None if found is None else found.plain()
