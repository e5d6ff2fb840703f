"""cluster/azure.yaml against what Ray's launcher brings along for Azure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import ray.autoscaler as autoscaler

from tests.cluster.files import CLUSTER, document

RAYS = Path(autoscaler.__file__).parent
# Which Ray fills in, from the provider section and the SSH key.
FILLED_IN = {"vmName", "adminUsername", "publicKey", "vmTags", "vmCount", "msi", "nsg", "subnet"}
TYPES = {"string": str, "int": int, "object": dict, "bool": bool}


@pytest.fixture(scope="module")
def azure() -> dict[str, Any]:
    return document(CLUSTER / "azure.yaml")


def test_rays_template_for_machines_takes_every_parameter(azure: dict[str, Any]):
    template = json.loads((RAYS / "_private" / "_azure" / "azure-vm-template.json").read_text("utf-8"))
    known = template["parameters"]
    needed = {name for name, parameter in known.items() if "defaultValue" not in parameter} - FILLED_IN
    for kind in azure["available_node_types"].values():
        given = kind["node_config"]["azure_arm_parameters"]
        assert needed <= set(given) <= set(known) - FILLED_IN
        assert all(isinstance(value, TYPES[known[name]["type"]]) for name, value in given.items())


def test_the_sdk_is_that_of_this_rays_launcher(azure: dict[str, Any]):
    (rays,) = document(RAYS / "azure" / "defaults.yaml")["head_setup_commands"]
    (ours,) = azure["head_setup_commands"]
    versions = {word for word in ours.split() if "==" in word}
    assert versions
    assert versions == {word for word in rays.split() if "==" in word}


def test_every_node_mounts_the_share_for_runs(azure: dict[str, Any]):
    assert any("nfs4" in command and "/shared" in command for command in azure["setup_commands"])
