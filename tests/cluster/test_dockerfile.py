"""cluster/Dockerfile: hadolint's rules, files that are there and sent, versions that agree, layers that build."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import ray_compt
from tests.cluster.compt import check_command
from tests.cluster.files import CLUSTER, ROOT, program, train_commands

FILE = CLUSTER / "Dockerfile"
TEXT = FILE.read_text(encoding="utf-8")
COPIED = [
    (words[:-1], words[-1])
    for words in (line.split()[1:] for line in TEXT.splitlines() if line.startswith("COPY "))
]


@pytest.mark.skipif(program("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    done = subprocess.run([program("hadolint"), FILE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


def test_everything_that_it_copies_is_there_and_sent():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored  # nothing is sent but
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    sources = {source.rstrip("/") for given, _ in COPIED for source in given}
    assert {source for source in sources if not (ROOT / source).exists()} == set()
    assert {source.split("/")[0] for source in sources} == sent


def test_nothing_runs_as_root_and_a_token_is_asked_for():
    final = TEXT[TEXT.index(" AS package") :]
    (user,) = re.findall(r"^USER (\d+)$", final, flags=re.MULTILINE)
    assert f"useradd --uid {user} " in TEXT
    assert re.search(r"^ENV RAY_AUTH_MODE=token$", final, flags=re.MULTILINE)


def test_cuda_is_that_of_the_torch_in_constraints():
    """The wheel of torch names the CUDA toolkit that it needs; a driver serves all of a minor version."""
    (image,) = re.findall(r"^FROM nvidia/cuda:(\S+?)-base-ubuntu24\.04 AS", TEXT, flags=re.MULTILINE)
    names = [Requirement(text) for text in requires("torch") or ()]
    toolkits = [each.specifier for each in names if each.name.replace("_", "-") == "cuda-toolkit"]
    if not toolkits:
        pytest.skip("this torch is built without CUDA")
    (toolkit,) = toolkits[0]
    assert image.split(".")[:2] == toolkit.version.split(".")[:2]


def test_every_pip_install_holds_to_constraints():
    installs = re.findall(r"pip install (.*)", TEXT)
    assert len(installs) == 3
    assert all("--constraint constraints.txt" in install for install in installs)


def test_the_demo_is_its_smoke_test_and_what_it_runs_alone():
    assert re.search(r"^FROM package AS smoke\nRUN compt train digits\b", TEXT, flags=re.MULTILINE)
    assert TEXT.rstrip().endswith('CMD ["compt", "train", "digits"]')
    for words in [*train_commands(TEXT), ["verify", "runs/digits"]]:
        check_command(words)


def test_the_layer_of_needs_can_be_made_from_what_it_has(tmp_path: Path):
    """Before the code is there: the version and empty files build a package with the same requirements."""
    (names, _), (init, _) = COPIED[:2]
    assert init == ["ray_compt/__init__.py"]
    for name in names:
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "ray_compt").mkdir()
    shutil.copy(ROOT / init[0], tmp_path / "ray_compt")
    (tmp_path / "chains").mkdir()
    for name in ("README.md", "LICENSE"):
        (tmp_path / name).touch()
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", tmp_path, tmp_path], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob(f"ray_compt-{ray_compt.__version__}-*.whl"))
