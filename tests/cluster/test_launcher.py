"""cluster/aws.yaml, gcp.yaml and azure.yaml as `ray up` prepares them: Ray's schema, spot, a token, no public door."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from ray.autoscaler._private.util import prepare_config, validate_config

from ray_compt.config import read_chain
from tests.cluster.files import CLUSTER, DOCS, LAUNCHER, document

SPOT = {
    "aws": lambda node: node.get("InstanceMarketOptions", {}).get("MarketType") == "spot",
    "gcp": lambda node: node.get("scheduling", {}).get("provisioningModel") == "SPOT",
    "azure": lambda node: node["azure_arm_parameters"].get("priority") == "Spot",
}


@pytest.fixture(params=LAUNCHER)
def cloud(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def written(cloud: str) -> dict[str, Any]:
    return document(CLUSTER / f"{cloud}.yaml")


@pytest.fixture
def prepared(written: dict[str, Any]) -> dict[str, Any]:
    """With the defaults of Ray's launcher filled in."""
    return prepare_config(written)


def commands(config: dict[str, Any]) -> list[str]:
    kinds = ("initialization_commands", "setup_commands", "head_setup_commands", "worker_setup_commands")
    starts = ("head_start_ray_commands", "worker_start_ray_commands")
    return [command for kind in (*kinds, *starts) for command in config[kind]]


def gpu_types(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: kind for name, kind in config["available_node_types"].items() if name != "head"}


def test_rays_schema_takes_it(prepared: dict[str, Any]):
    validate_config(prepared)


def test_nothing_comes_from_rays_defaults_but_emptiness(written: dict[str, Any], prepared: dict[str, Any]):
    """A default of Ray's, such as a dashboard that listens to everybody, would be a surprise."""
    filled = {key: value for key, value in prepared.items() if key not in written}
    filled.pop("initialization_commands")  # Azure's silences a greeting
    merged = {"worker_setup_commands": written["setup_commands"]}
    assert {key: value for key, value in filled.items() if value} == merged


def test_the_head_has_no_gpu_and_is_on_demand(cloud: str, prepared: dict[str, Any]):
    head = prepared["available_node_types"][prepared["head_node_type"]]
    assert head["resources"] == {"CPU": 0}
    assert not SPOT[cloud](head["node_config"])


def test_gpu_nodes_come_when_asked_for_spot_first(cloud: str, prepared: dict[str, Any]):
    types = gpu_types(prepared)
    assert {name: SPOT[cloud](kind["node_config"]) for name, kind in types.items()} == {
        "gpu_spot": True,
        "gpu_on_demand": False,
    }
    assert all(kind["min_workers"] == 0 for kind in types.values())
    assert types["gpu_spot"]["priority"] > types["gpu_on_demand"]["priority"]
    assert types["gpu_spot"]["resources"] == types["gpu_on_demand"]["resources"]


def test_a_gpu_node_has_room_for_a_worker_and_its_readers(prepared: dict[str, Any]):
    workers = read_chain("vit_4", ()).chain.stages[0].workers
    for kind in gpu_types(prepared).values():
        assert kind["resources"]["GPU"] == workers.gpus
        assert kind["resources"]["CPU"] > workers.cpus
        assert kind["max_workers"] == prepared["max_workers"] == workers.max + 1  # and the teacher


def test_the_token_is_asked_for_wherever_ray_starts(prepared: dict[str, Any]):
    starts = [command for command in commands(prepared) if "ray start" in command]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)
    assert any("RAY_AUTH_MODE=token" in command and ".bashrc" in command for command in commands(prepared))
    assert prepared["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_the_dashboard_listens_to_the_head_alone(prepared: dict[str, Any]):
    (start,) = (command for command in prepared["head_start_ray_commands"] if "ray start" in command)
    assert "--dashboard-host=127.0.0.1" in shlex.split(start)
    assert "0.0.0.0" not in "".join(commands(prepared))


def test_no_node_has_a_public_address(cloud: str, prepared: dict[str, Any]):
    assert prepared["provider"]["use_internal_ips"] is True
    assert not prepared["provider"].get("use_external_head_ip", False)
    assert prepared["auth"]["ssh_proxy_command"]
    for kind in prepared["available_node_types"].values():
        for interface in kind["node_config"].get("networkInterfaces", []):
            assert "accessConfigs" not in interface


def test_commands_are_shell(prepared: dict[str, Any]):
    assert all(shlex.split(command) for command in commands(prepared))


def test_what_is_copied_is_there_or_made_as_the_page_says(prepared: dict[str, Any]):
    made_by = {"dist": "pip wheel --no-deps -w dist .", "~/.ray/auth_token": "ray get-auth-token --generate"}
    assert set(prepared["file_mounts"].values()) == set(made_by)
    page = DOCS.read_text(encoding="utf-8")
    assert all(command in page for command in made_by.values())


def test_every_key_says_what_it_is_for(cloud: str):
    """A comment on its line or right above."""
    above, bare = "", []
    for number, line in enumerate((CLUSTER / f"{cloud}.yaml").read_text(encoding="utf-8").splitlines(), 1):
        is_key = re.match(r"\s*(- )?[\w~/.<-]+:( |$)", line)
        if is_key and "#" not in line and not above.lstrip().startswith("#"):
            bare.append(f"{number}: {line}")
        above = line
    assert not bare, "\n".join(bare)
