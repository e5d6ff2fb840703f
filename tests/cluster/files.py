"""The files under cluster/ as their readers see them: documents, shell commands, versions."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent
CLUSTER = ROOT / "cluster"
KUBERAY = CLUSTER / "kuberay"
DOCS = ROOT / "docs" / "clusters.md"
LAUNCHER = ("aws", "gcp", "azure")


def program(name: str) -> str | None:
    """Where a linter is: beside this Python, as the extra `dev` installs it, else on the PATH; None: nowhere."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))


def documents(file: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file, anchors and merges resolved."""
    return list(YAML(typ="safe").load_all(file.read_text(encoding="utf-8")))


def document(file: Path) -> dict[str, Any]:
    """The only document of a YAML file."""
    (found,) = documents(file)
    return found


def pins(python: str = "3.12") -> dict[str, str]:
    """The version of every package in constraints.txt for a Python."""
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate({"python_version": python}):
                (exact,) = pin.specifier
                found[pin.name] = exact.version
    return found


def train_commands(text: str) -> list[list[str]]:
    """Every written-out `compt train FILE ...` of a text, split as a shell would."""
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    found = [match for line in lines for match in re.findall(r"\bcompt train [\w/][^`|;&<>\n]*", line)]
    return [shlex.split(command, comments=True)[1:] for command in found]
