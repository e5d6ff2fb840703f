"""Every way a command can end: what is printed where, and the exit code."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from ray_compt.cli.command import Command
from ray_compt.cli.options import Verbose
from ray_compt.errors import TrainingError, UserError

MISTAKE = UserError("unknown key `lrr`", where="chain.yaml:12", mend="write `lr`")


def _run(ending, *arguments):
    app = typer.Typer(pretty_exceptions_enable=False)

    @app.command(cls=Command)
    def stand_in(verbose: Verbose = False) -> None:
        raise ending

    return CliRunner().invoke(app, list(arguments))


def test_a_mistake_of_the_user_is_told_with_place_cause_and_mend():
    result = _run(MISTAKE)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "error: chain.yaml:12: unknown key `lrr`\n  mend: write `lr`\n"


def test_verbose_adds_the_traceback():
    result = _run(MISTAKE, "-v")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("error: chain.yaml:12: unknown key `lrr`\n  mend: write `lr`\n")


def test_training_that_stops_exits_with_1():
    result = _run(TrainingError("3 workers were lost", where="stage S"))
    assert (result.exit_code, result.stderr) == (1, "error: stage S: 3 workers were lost\n")


@pytest.mark.parametrize(
    "text, line", [("", "stopped\n"), ("stopped; go on with X", "stopped; go on with X\n")]
)
def test_ctrl_c_exits_with_130(text, line):
    result = _run(KeyboardInterrupt(text) if text else KeyboardInterrupt())
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", line)


def test_a_bug_of_ours_is_one_line():
    result = _run(ZeroDivisionError("division\nby zero"))
    assert result.exit_code == 70
    assert result.stderr == (
        "internal error: ZeroDivisionError: division by zero (run with -v for the traceback)\n"
    )


def test_a_bug_of_ours_keeps_its_traceback_with_verbose():
    assert "Traceback" in _run(ZeroDivisionError("x"), "--verbose").stderr


def test_typers_own_exit_passes():
    assert _run(typer.Exit(7)).exit_code == 7
