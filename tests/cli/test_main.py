"""The program itself: light to start, the same by both its names, usage errors without a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ray_compt import __version__
from ray_compt.cli.main import app

# Typer itself loads pydantic for a command's parameters, so pydantic is held by the test of our own rooms.
HEAVY = {"torch", "ray", "open_clip", "deepspeed", "numpy", "pyarrow", "ruamel", "rich"}
LIGHT_ROOMS = {"ray_compt.cli", "ray_compt.errors"}


def _loaded_by(*arguments):
    """Names of the modules that a run of the program has loaded."""
    program = (
        "import sys; sys.argv = ['compt', *sys.argv[1:]]\n"
        "from ray_compt.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print('LOADED', *sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    return set(run.stdout.partition("LOADED")[2].split())


@pytest.mark.parametrize(
    "command",
    [[], ["train"], ["plan"], ["check"], ["eval"], ["grow"], ["verify"], ["submit"], ["status"]],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(command):
    loaded = _loaded_by(*command, "--help")
    assert not {name.partition(".")[0] for name in loaded} & HEAVY
    rooms = {".".join(name.split(".")[:2]) for name in loaded if name.startswith("ray_compt.")}
    assert rooms == LIGHT_ROOMS


def test_version():
    assert CliRunner().invoke(app, ["--version"]).stdout == f"compt {__version__}\n"


def test_python_m_is_the_same_program():
    run = subprocess.run(
        [sys.executable, "-m", "ray_compt", "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage: compt" in run.stdout
    assert all(name in run.stdout for name in ("train", "plan", "check", "eval", "grow", "verify"))


@pytest.mark.parametrize("arguments", [["trian"], ["check"], ["plan", "x.yaml", "--samples", "many"]])
def test_wrong_usage_exits_with_2_and_no_traceback(arguments):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["check", "plan", "train"])
def test_a_chain_file_that_does_not_exist_is_a_short_message(compt, tmp_path, command):
    result = compt(command, tmp_path / "none.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {tmp_path / 'none.yaml'}: ")
    assert "mend: " in result.stderr
