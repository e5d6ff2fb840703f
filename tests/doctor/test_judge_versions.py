"""Versions: what decides is wrong where it differs, the rest is to think about."""

from __future__ import annotations

import pytest

from ray_compt.doctor.judge_versions import DECISIVE, judge_installed, judge_versions
from tests.doctor.facts import PACKAGES, healthy, with_packages

HERE = healthy()


def test_equal_nodes_are_well():
    (found,) = judge_versions(HERE, {"a": HERE, "b": HERE})
    assert found.state == "ok"
    assert "torch 2.12.0" in found.found and found.found.endswith("the same on 2 nodes")


@pytest.mark.parametrize("name", DECISIVE)
def test_another_version_of_what_decides_is_wrong_and_named(name: str):
    there = healthy(packages=with_packages(**{name: "0.0.1"}))
    (found,) = judge_versions(HERE, {"a": HERE, "b": there})
    assert (found.state, found.nodes) == ("wrong", ("b",))
    assert found.found == f"{name} 0.0.1 instead of {PACKAGES[name]}"


def test_a_package_that_is_not_there_is_wrong():
    (found,) = judge_versions(HERE, {"b": healthy(packages=with_packages(deepspeed=None))})
    assert (found.state, found.found) == ("wrong", "deepspeed none instead of 0.19.8")


def test_another_timm_is_to_think_about():
    (found,) = judge_versions(HERE, {"b": healthy(packages=with_packages(timm="1.0.1"))})
    assert (found.state, found.found) == ("warn", "timm 1.0.1 instead of 1.0.31")


def test_a_head_may_have_the_torch_for_cpus():
    there = healthy(packages=with_packages(torch="2.12.0+cu128"))
    assert judge_versions(healthy(packages=with_packages(torch="2.12.0+cpu")), {"b": there})[0].state == "ok"


def test_one_version_with_other_files_is_wrong():
    (found,) = judge_versions(HERE, {"b": healthy(code="4567")})
    assert (found.state, found.nodes) == ("wrong", ("b",))
    assert "its files differ" in found.found


def test_a_machine_alone_needs_everything_installed():
    assert judge_installed(HERE)[0].state == "ok"
    (found,) = judge_installed(healthy(packages=with_packages(ray=None, torch=None)))
    assert (found.state, found.found) == ("wrong", "ray, torch is not installed")
