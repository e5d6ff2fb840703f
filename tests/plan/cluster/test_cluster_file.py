from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config.yaml_io import write_yaml
from ray_compt.errors import UserError
from ray_compt.plan.cluster import read_cluster

from .conftest import rented

SHIPPED = sorted((Path(__file__).parents[3] / "cluster").glob("*.yaml"))


def _write(tmp_path, content):
    file = tmp_path / "cluster.yaml"
    file.write_text(content if isinstance(content, str) else write_yaml(content))
    return file


def _of(provider, node_config, **more):
    types = {"only": {"node_config": node_config, **more}}
    return {"provider": {"type": provider}, "available_node_types": types}


def _only(tmp_path, provider, node_config, **more):
    return read_cluster(_write(tmp_path, _of(provider, node_config, **more))).head


def test_node_types_of_aws(write_cluster):
    gpu, spot = rented("g6.12xlarge", most=3), rented("g6.12xlarge", spot=True)
    found = read_cluster(write_cluster(max_workers=5, gpu=gpu, spot=spot))
    head, gpu, spot = found.node_types
    assert (found.cloud, found.head) == ("aws", head)
    assert (head.cpus, head.gpus, head.spot) == (0, 0, False)
    assert (gpu.cpus, gpu.gpus, gpu.most, gpu.price) == (48, 4, 3, 4.6)
    assert (spot.spot, spot.most, spot.price) == (True, 5, 1.9)
    assert gpu.instance.device.name == "L4"


def test_without_limits_rays_defaults_count(tmp_path):
    assert _only(tmp_path, "aws", {"InstanceType": "g6.xlarge"}).most == 2 + 1  # the head is one of them


@pytest.mark.parametrize(
    "scheduling, spot",
    [
        ([{"preemptible": True}], True),
        ({"provisioningModel": "SPOT"}, True),
        ([{"onHostMaintenance": "TERMINATE"}], False),
    ],
)
def test_spot_on_google(tmp_path, scheduling, spot):
    found = _only(tmp_path, "gcp", {"machineType": "a2-highgpu-1g", "scheduling": scheduling})
    assert found.spot == spot
    assert found.instance.device.name == "A100-40G"


def test_gpus_that_are_attached_on_google(tmp_path):
    kind = "projects/p/zones/z/acceleratorTypes/nvidia-tesla-t4"
    attached = [{"acceleratorType": kind, "acceleratorCount": 2}]
    found = _only(tmp_path, "gcp", {"machineType": "n1-standard-8", "guestAccelerators": attached})
    assert (found.gpus, found.instance.device.name) == (2, "T4")
    assert found.price == pytest.approx(0.38 + 2 * 0.35)


@pytest.mark.parametrize("priority, spot", [("Spot", True), ("Regular", False), (None, False)])
def test_azure(tmp_path, priority, spot):
    parameters = {"vmSize": "Standard_NC24ads_A100_v4"} | ({"priority": priority} if priority else {})
    found = _only(tmp_path, "azure", {"azure_arm_parameters": parameters})
    assert (found.spot, found.instance.devices) == (spot, 1)


def test_own_machines_cost_nothing(tmp_path):
    resources = {"CPU": 64, "GPU": 4, "accelerator_type:H100": 1}
    found = _only(tmp_path, "local", {"network_gbit": 400}, resources=resources)
    assert (found.price, found.gpus, found.cpus) == (0, 4, 64)
    assert (found.instance.device.name, found.instance.network_gbit) == ("H100", 400)


def test_aliases_and_merged_keys_are_read(tmp_path):
    text = """
provider: {type: aws}
head_node_type: gpu
available_node_types:
  gpu:
    node_config: &worker
      InstanceType: g6e.4xlarge
      ImageId: ami-1
  spot:
    node_config:
      <<: *worker
      InstanceMarketOptions: {MarketType: spot}
"""
    gpu, spot = read_cluster(_write(tmp_path, text)).node_types
    assert (gpu.instance, gpu.spot, spot.instance, spot.spot) == (spot.instance, False, gpu.instance, True)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_cluster_files_are_in_the_tables(file):
    found = read_cluster(file)
    assert any(kind.spot and kind.gpus for kind in found.node_types)
    assert not found.head.spot and not found.head.gpus


@pytest.mark.parametrize(
    "content, where, says, mend",
    [
        (_of("aws", {"InstanceType": "g6.12xlarg"}), ":6", "no instance type g6.12xlarg", "g6.12xlarge"),
        (_of("vsphere", {}), ":2", "no prices for the provider vsphere", "aws, gcp, azure"),
        ({"available_node_types": {"a": {}}}, ":1", "no provider", "provider"),
        ({"provider": {"type": "aws"}}, ":1", "no node types", "available_node_types"),
        (_of("aws", {"ImageId": "ami-1"}), ":5", "does not say what it rents", "node_config.InstanceType"),
        (_of("local", {}), ":4", "how many CPUs", "resources"),
        (_of("local", {}, resources={"CPU": 4, "GPU": 1}), ":6", "what GPUs these are", "accelerator_type"),
        (_of("aws", {"InstanceType": "g6.xlarge"}, max_workers=-1), ":7", "no number of nodes", "0, 1, 2"),
        (
            _of("aws", {"InstanceType": "g6.xlarge"}) | {"head_node_type": "b"},
            ":7",
            "type b is not there",
            "only",
        ),
        (
            _of(
                "gcp",
                {"machineType": "n1-standard-8", "guestAccelerators": [{"acceleratorType": "x/nvidia-p4"}]},
            ),
            ":",
            "no price for the accelerator nvidia-p4",
            "nvidia-tesla-t4",
        ),
        ("- a\n", ":1", "a cluster file is a mapping", "cluster_name"),
    ],
)
def test_what_does_not_serve_is_named(tmp_path, content, where, says, mend):
    with pytest.raises(UserError) as caught:
        read_cluster(_write(tmp_path, content))
    assert says in caught.value.message and mend in (caught.value.mend or "")
    assert where in caught.value.where


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such cluster file"):
        read_cluster(tmp_path / "nowhere.yaml")
