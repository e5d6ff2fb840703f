"""An sdist and a wheel are built, and a wheel in an empty environment is `compt` with everything that it ships."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

import ray_compt

ROOT = Path(__file__).parents[2]
pytest.importorskip("hatchling", reason="the build backend comes with the extra 'dev'")


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What a program prints. It gets no PYTHONPATH: nothing of this checkout may help it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**environment, **env},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the unpacked sdist, as a package index's users may have to."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheel, and beside it only what this one has by name."""
    environment = tmp_path_factory.mktemp("installed") / "venv"
    cwd = environment.parent
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=cwd)
    python = environment / "bin" / "python"
    install = ("-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet")
    run(sys.executable, *install, wheel, cwd=cwd)
    # A path in a .pth file is searched, but its own .pth files (an editable ray_compt) are not read.
    (site,) = environment.glob("lib/python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n", encoding="utf-8")
    return environment / "bin"


def test_sdist_holds_what_a_packager_needs(sdist: Path):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    top = {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "Makefile",
    }
    assert top | {"pyproject.toml", "constraints.txt", "chains/digits.yaml", "ray_compt/py.typed"} <= names
    assert {"tests/packaging/test_install.py", "docs/index.md", "mkdocs.yml"} <= names
    assert not [name for name in names if name.startswith(("runs/", ".venv/", "build/")) or ".pyc" in name]


def test_the_wheel_of_the_sdist_is_whole(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "ray_compt"
    ours = {path.relative_to(ROOT).as_posix() for path in package.rglob("*.py")}
    assert ours | {"ray_compt/py.typed", "ray_compt/_chains/sweeps/digits_quick.yaml"} <= names


def test_the_program_is_the_installed_one(installed: Path, tmp_path: Path):
    assert run(installed / "compt", "--version", cwd=tmp_path).split() == ["compt", ray_compt.__version__]
    place = run(installed / "python", "-c", "import ray_compt; print(ray_compt.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed.parent)


@pytest.mark.parametrize(
    "find, folder",
    [
        ("from ray_compt.config import find_chain as find", "chains"),
        ("from ray_compt.config.sweep_file import find_sweep as find", "chains/sweeps"),
    ],
)
def test_shipped_files_are_found_by_name(installed: Path, tmp_path: Path, find: str, folder: str):
    names = [path.stem for path in (ROOT / folder).glob("*.yaml")]
    code = f"{find}; print(*map(find, {names}), sep='\\n')"
    places = [Path(place) for place in run(installed / "python", "-c", code, cwd=tmp_path).split()]
    assert [place.stem for place in places] == names
    assert all(place.is_relative_to(installed.parent) for place in places)


def test_a_shipped_chain_is_planned(installed: Path, tmp_path: Path):
    planned = json.loads(
        run(installed / "compt", "plan", "vit_4", "--samples", "2890000", "--json", cwd=tmp_path)
    )
    assert planned["acceleration"] == pytest.approx(5.57, abs=0.01)
