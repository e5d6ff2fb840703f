"""What an installed ray_compt has: every module, the shipped chains, the program."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import ray_compt

ROOT = Path(__file__).parent.parent.parent
PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout with the build backend that is installed: no registry is asked."""
    pytest.importorskip("hatchling", reason="the build backend comes with the extra 'dev'")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", folder, ROOT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: set[str]) -> Message:
    (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())


def run_python(*arguments: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_wheel_holds_every_module(names: set[str]):
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ray_compt").rglob("*.py")}
    assert modules <= names


def test_wheel_holds_every_shipped_chain(names: set[str]):
    folder = ROOT / "chains"
    chains = {f"ray_compt/_chains/{path.relative_to(folder).as_posix()}" for path in folder.rglob("*.yaml")}
    assert {"ray_compt/_chains/digits.yaml", "ray_compt/_chains/sweeps/digits_quick.yaml"} <= chains
    assert chains <= names


def test_wheel_holds_the_reports_templates(names: set[str]):
    templates = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("ray_compt/**/templates/*")}
    names_of_all = {"frame.html", "plot.html", "report.html", "report.css", "report.js", "sweep.html"}
    assert {Path(name).name for name in templates} == names_of_all
    assert templates <= names


def test_wheel_says_that_it_is_typed(names: set[str]):
    assert "ray_compt/py.typed" in names


def test_wheel_offers_the_extras(metadata: Message):
    assert {"eval", "s3", "gcs", "docs", "dev"} <= set(metadata.get_all("Provides-Extra") or [])


def test_wheel_holds_nothing_else(names: set[str]):
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"ray_compt"}


def test_installed_package_finds_a_chain_by_its_bare_name(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "from ray_compt.config import find_chain; print(find_chain('digits'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,  # python -c searches the current folder first
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == tmp_path / "ray_compt" / "_chains" / "digits.yaml"


def test_wheel_declares_the_program_and_the_licence(wheel: Path, names: set[str], metadata: Message):
    (entries,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    assert "compt = ray_compt.cli.main:main" in zipfile.ZipFile(wheel).read(entries).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Version"] == ray_compt.__version__


def test_program_tells_its_version():
    assert run_python("-m", "ray_compt", "--version").split()[-1] == ray_compt.__version__


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_fix_every_requirement(metadata: Message, python: str):
    """Each requirement has exactly one line for this Python, and that version satisfies it."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    fixed: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            (exact,) = pin.specifier
            assert (exact.operator, pin.url) == ("==", None), line
            if pin.marker is None or pin.marker.evaluate(environment):
                fixed.setdefault(canonicalize_name(pin.name), []).append(exact.version)

    extras = ["", *(metadata.get_all("Provides-Extra") or [])]
    for text in metadata.get_all("Requires-Dist") or []:
        required = Requirement(text)
        if required.marker and not any(
            required.marker.evaluate({**environment, "extra": extra}) for extra in extras
        ):
            continue
        versions = fixed.get(canonicalize_name(required.name), [])
        assert len(versions) == 1, f"{required.name}: {versions}"
        assert required.specifier.contains(versions[0], prereleases=True), f"{text}: {versions[0]}"


def test_package_is_for_the_pythons_that_are_tested(metadata: Message):
    specifier = Requirement(f"python{metadata['Requires-Python']}").specifier
    assert [minor for minor in range(8, 20) if specifier.contains(f"3.{minor}.1")] == [10, 11, 12, 13]


def test_citation_and_changelog_know_this_version():
    assert f"\nversion: {ray_compt.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{ray_compt.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
