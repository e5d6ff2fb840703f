"""cluster/aws.yaml through Ray's bootstrap and launcher for AWS, against an EC2 that moto plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.files import CLUSTER, document

IDS = {"ami-00000000000000000", "subnet-00000000000000000", "sg-00000000000000000"}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """An EC2 client of an account without anything, and a home directory without keys."""
    import boto3
    from moto import mock_aws
    from moto.backends import get_backend
    from moto.core import DEFAULT_ACCOUNT_ID

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("HOME", str(tmp_path))
    mock = mock_aws()
    # The endpoint of tests/s3.py keeps its buckets in the same process: only what is used here begins anew.
    mock.start(reset=False)
    for service, region in (("ec2", "us-east-1"), ("iam", "aws")):
        get_backend(service)[DEFAULT_ACCOUNT_ID][region].reset()
    try:
        yield boto3.client("ec2", region_name="us-east-1")
    finally:
        mock.stop(remove_data=False)


@pytest.fixture
def config(account: Any) -> dict[str, Any]:
    """The file with the ids of a private network in that account, as docs/clusters.md says to fill them in."""
    import boto3

    vpc = account.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = account.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20")["Subnet"]["SubnetId"]
    group = account.create_security_group(GroupName="compt", Description="inside", VpcId=vpc)["GroupId"]
    image = account.describe_images()["Images"][0]["ImageId"]
    profiles = boto3.client("iam")
    for name in ("compt-head", "compt-worker"):
        profiles.create_instance_profile(InstanceProfileName=name)
    config = document(CLUSTER / "aws.yaml")
    for kind in config["available_node_types"].values():
        node = kind["node_config"]
        assert {node["ImageId"], *node["SubnetIds"], *node["SecurityGroupIds"]} == IDS
        node.update(ImageId=image, SubnetIds=[subnet], SecurityGroupIds=[group])
    return config


def test_the_launcher_starts_a_head_on_demand_and_workers_on_spot(account: Any, config: dict[str, Any]):
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
    from ray.autoscaler._private.util import prepare_config

    ready = AWSNodeProvider.bootstrap_config(prepare_config(config))
    provider = AWSNodeProvider(ready["provider"], ready["cluster_name"])
    for name, kind in ready["available_node_types"].items():
        node = {**ready.get("head_node", {}), **kind["node_config"]}
        provider.create_node(node, {"ray-user-node-type": name}, 1)
    started = {
        next(tag["Value"] for tag in instance["Tags"] if tag["Key"] == "ray-user-node-type"): instance
        for reservation in account.describe_instances()["Reservations"]
        for instance in reservation["Instances"]
    }
    assert {name: instance.get("InstanceLifecycle") for name, instance in started.items()} == {
        "head": None,
        "gpu_on_demand": None,
        "gpu_spot": "spot",
    }
    for instance in started.values():
        assert not instance.get("PublicIpAddress")
    groups = account.describe_security_groups()["SecurityGroups"]
    opened = [rule for group in groups for rule in group["IpPermissions"] if rule["IpRanges"]]
    assert opened == []  # the launcher has opened port 22 to nobody
