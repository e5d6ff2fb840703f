"""Versions that the files under cluster/ and their page name are those of constraints.txt and of this package."""

from __future__ import annotations

import re

from packaging.utils import canonicalize_name

import ray_compt
from tests.cluster.files import CLUSTER, DOCS, pins

TEXTS = {
    file.name: file.read_text(encoding="utf-8") for file in [*CLUSTER.rglob("*"), DOCS] if file.is_file()
}


def test_packages_are_those_of_constraints():
    named = [
        (file, canonicalize_name(name), version)
        for file, text in TEXTS.items()
        for name, version in re.findall(r"([A-Za-z][\w.-]*)(?:\[[\w,]+\])?==([\w.]+)", text)
    ]
    known = pins()
    assert ("clusters.md", "ray", known["ray"]) in named
    wrong = [each for each in named if known.get(each[1], each[2]) != each[2]]
    assert not wrong


def test_ray_is_nowhere_another():
    versions = {
        version for text in TEXTS.values() for version in re.findall(r"\bRay (\d+\.\d+\.\d+)\b", text)
    }
    versions |= {version for text in TEXTS.values() for version in re.findall(r"rayVersion: (\S+)", text)}
    assert versions == {pins()["ray"]}


def test_the_image_is_of_this_version():
    tags = {tag for text in TEXTS.values() for tag in re.findall(r"compt:(\d\S*)", text)}
    assert tags == {ray_compt.__version__}
