"""cluster/gcp.yaml against the fields of Compute Engine's instances.insert that it uses; no other is let through.

Facts of the Compute API v1 (resource Instance), written down by hand.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import Field, ValidationError

from tests.cluster.files import CLUSTER, document
from tests.cluster.kuberay import Strict


class Boot(Strict):
    diskSizeGb: int
    sourceImage: str = Field(pattern=r"^projects/[^/]+/global/images/(family/)?[^/]+$")


class Disk(Strict):
    boot: bool
    autoDelete: bool
    type: Literal["PERSISTENT", "SCRATCH"]
    initializeParams: Boot


class Interface(Strict):
    subnetwork: str = Field(pattern=r"^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$")


class Account(Strict):
    email: str
    scopes: list[str]


class Scheduling(Strict):
    provisioningModel: Literal["STANDARD", "SPOT"] = "STANDARD"
    instanceTerminationAction: Literal["DELETE", "STOP"] | None = None
    onHostMaintenance: Literal["MIGRATE", "TERMINATE"] = "MIGRATE"
    automaticRestart: bool | None = None


class Instance(Strict):
    machineType: str
    disks: list[Disk]
    networkInterfaces: list[Interface]
    serviceAccounts: list[Account] = Field(default_factory=list)
    scheduling: Scheduling = Scheduling()


@pytest.fixture(scope="module")
def gcp() -> dict[str, Any]:
    return document(CLUSTER / "gcp.yaml")


def test_compute_engine_knows_every_field(gcp: dict[str, Any]):
    for kind in gcp["available_node_types"].values():
        Instance.model_validate(kind["node_config"])


def test_an_unknown_field_is_refused(gcp: dict[str, Any]):
    node = gcp["available_node_types"]["head"]["node_config"]
    with pytest.raises(ValidationError, match="preemptible"):
        Instance.model_validate({**node, "scheduling": {"preemptible": True}})


def test_gpu_nodes_end_with_their_host_and_spot_never_restarts(gcp: dict[str, Any]):
    types = gcp["available_node_types"]
    for name in ("gpu_spot", "gpu_on_demand"):
        node = Instance.model_validate(types[name]["node_config"])
        assert node.scheduling.onHostMaintenance == "TERMINATE"
        assert (node.scheduling.automaticRestart is False) == (name == "gpu_spot")


def test_tunnel_network_and_zone_agree(gcp: dict[str, Any]):
    provider, proxy = gcp["provider"], gcp["auth"]["ssh_proxy_command"].split()
    assert f"--zone={provider['availability_zone']}" in proxy
    assert provider["availability_zone"].startswith(provider["region"])
    for kind in gcp["available_node_types"].values():
        (interface,) = kind["node_config"]["networkInterfaces"]
        assert f"/regions/{provider['region']}/" in interface["subnetwork"]
