"""The tables of devices and instances: what every row has to satisfy, and what the lookups say."""

from __future__ import annotations

import re

import pytest

from ray_compt.errors import UserError
from ray_compt.plan.cluster import DEVICES, INSTANCES, find_device, find_instance
from ray_compt.plan.cluster.instances import ATTACHED


@pytest.mark.parametrize("device", DEVICES.values(), ids=list(DEVICES))
def test_a_device_names_its_source_and_is_plausible(device):
    assert re.search(r"\b20[12]\d\b", device.source) or device.cpu
    half = [device.peak[name] for name in ("bf16", "fp16") if name in device.peak]
    assert all(rate > device.peak["fp32"] for rate in half)
    assert device.link < device.bandwidth
    # No device reads all of its memory more than 100 times a second, or less than ten.
    assert device.cpu or 10 < device.bandwidth / device.memory < 100


@pytest.mark.parametrize(
    "instance", [one for cloud in INSTANCES.values() for one in cloud.values()], ids=lambda one: one.name
)
def test_an_instance_is_plausible(instance):
    assert 0 < instance.spot_price < instance.price < 200
    assert 1 <= instance.network_gbit <= 3200
    assert instance.device.cpu == (instance.devices == 0)
    assert instance.vcpus / max(1, instance.devices) >= 4 or instance.device.cpu


def test_published_peaks():
    assert DEVICES["H100"].rate("bf16") == 989e12
    assert DEVICES["A100-80G"].rate("fp32") == 19.5e12
    assert (DEVICES["L4"].memory, DEVICES["L4"].bandwidth) == (24e9, 300e9)


@pytest.mark.parametrize("name", ["T4", "V100", "vCPU"])
def test_a_device_without_the_precision(name):
    with pytest.raises(UserError, match=f"a {name} does not compute in bf16") as caught:
        find_device(name, "here").rate("bf16")
    assert "train.precision=fp32" in caught.value.mend


def test_an_unknown_device_is_named_with_the_nearest():
    with pytest.raises(UserError, match="no device H10O") as caught:
        find_device("H10O", "--measured-on")
    assert "did you mean H100?" in caught.value.mend


@pytest.mark.parametrize(
    "cloud, name, meant",
    [
        ("aws", "p5.48xlarg", "p5.48xlarge"),
        ("gcp", "a2-highgpu-1", "a2-highgpu-1g"),
        ("azure", "Standard_NC24ads_A100", "Standard_NC24ads_A100_v4"),
    ],
)
def test_an_unknown_instance_is_named_with_the_nearest(cloud, name, meant):
    with pytest.raises(UserError, match=f"no instance type {name} of {cloud}") as caught:
        find_instance(cloud, name, "file:3")
    assert f"did you mean {meant}?" in caught.value.mend
    assert caught.value.where == "file:3"


def test_attached_gpus_are_known_devices():
    assert all(device in DEVICES and spot < price for device, price, spot in ATTACHED.values())
