"""What this machine says of itself."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import ray_compt
from ray_compt.doctor import probe, versions
from ray_compt.doctor.facts import NodeFacts, this_machine


def test_versions_are_those_of_the_installed_packages():
    found = versions.package_versions()
    assert (found["ray_compt"], found["Python"]) == (ray_compt.__version__, platform.python_version())
    assert found["torch"] == metadata.version("torch")


def test_a_changed_line_changes_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    room = tmp_path / "ray_compt" / "doctor"
    room.mkdir(parents=True)
    (room / "versions.py").write_text("x = 1\n")
    monkeypatch.setattr(versions, "__file__", str(room / "versions.py"))
    first = versions.code_digest()
    assert versions.code_digest() == first
    (room / "versions.py").write_text("x = 2\n")
    assert versions.code_digest() != first


@pytest.mark.parametrize(
    "source, cuda",
    [
        ("cuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n", "13.0"),
        ("cuda = '12.8'\n", "12.8"),
        ("debug = False\ncuda: Optional[str] = None\n", None),
        ("debug = False\n", None),
    ],
)
def test_the_cuda_that_torch_was_built_for_is_read_from_its_file(source: str, cuda: str | None):
    assert versions.cuda_of(source) == cuda


def test_facts_survive_the_way():
    facts = this_machine()
    assert NodeFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_facts_of_another_version_are_refused():
    found = this_machine().to_json()
    del found["open_files"]
    with pytest.raises(KeyError):
        probe.read(json.dumps({"facts": found, "unreached": []}))


def test_a_probe_loads_nothing_heavy():
    code = (
        "import sys\nfrom ray_compt.doctor import probe\nprobe.look(probe.request([], []), 'me')\n"
        "print([name for name in ('torch', 'ray', 'pyarrow', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
