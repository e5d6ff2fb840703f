"""`make setup` refuses what cannot work, installs once, and again when the requirements change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that `make setup` looks at, and nothing installed."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def installed(checkout: Path) -> Path:
    """The same, looking as if `make setup` had just run."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/pip", "installed-dev"):
        (checkout / ".venv" / name).touch()
    return checkout


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = ("MAKE", "MFLAGS", "PYTHON", "EXTRAS", "ARGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def python_of_version(folder: Path, version: str) -> Path:
    """This interpreter, claiming to be of another version and to have no venv module."""
    claim = f"import sys; sys.version_info = ({version.replace('.', ', ')}, 1)"
    script = folder / f"python{version}"
    script.write_text(
        "#!/bin/sh\n"
        f'case "$1" in --version) echo "Python {version}.1"; exit;; -m) exit 1;; esac\n'
        f'exec "{sys.executable}" -c "{claim}; $2"\n'
    )
    script.chmod(0o755)
    return script


@pytest.mark.parametrize("version", ["3.9", "3.14"])
def test_a_python_that_we_do_not_support_is_refused_before_anything_is_made(checkout: Path, version: str):
    done = make(checkout, "setup", f"PYTHON={python_of_version(checkout, version)}")
    assert done.returncode != 0
    assert "ray_compt needs Python 3.10 to 3.13" in done.stderr
    assert f"is Python {version}.1" in done.stderr
    assert "mend:" in done.stderr
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_a_supported_python_without_venv_is_told_what_is_missing(checkout: Path, version: str):
    done = make(checkout, "setup", f"PYTHON={python_of_version(checkout, version)}")
    assert done.returncode != 0
    assert "could not make a virtual environment" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_missing_python_is_named(checkout: Path):
    done = make(checkout, "setup", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "'no-such-python' does not run" in done.stderr


def test_a_second_setup_installs_nothing(installed: Path):
    done = make(installed, "setup", "--dry-run")
    assert done.returncode == 0
    assert "pip install" not in done.stdout


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed(installed: Path, changed: str):
    later = (installed / ".venv" / "installed-dev").stat().st_mtime + 10
    os.utime(installed / changed, (later, later))
    assert "pip install" in make(installed, "setup", "--dry-run").stdout


def test_other_extras_are_installed(installed: Path):
    assert ".[dev,gcs]" in make(installed, "setup", "EXTRAS=dev,gcs", "--dry-run").stdout


@pytest.mark.parametrize("target", ["demo", "test", "lint", "docs"])
def test_each_newcomers_command_sets_up_first(checkout: Path, target: str):
    steps = make(checkout, target, "--dry-run").stdout
    assert "pip install" in steps
    assert steps.index("-m venv") < steps.index("pip install") < steps.rindex(".venv/bin/")
