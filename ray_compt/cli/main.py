"""The program `compt`. To add a command, write its file and add a line to the list below."""

from __future__ import annotations

from typing import Annotated

import typer

from ray_compt import __version__
from ray_compt.cli.check import check
from ray_compt.cli.command import Command, Program
from ray_compt.cli.data import app as data
from ray_compt.cli.design import design
from ray_compt.cli.doctor import doctor
from ray_compt.cli.eval import evaluate
from ray_compt.cli.finetune import finetune
from ray_compt.cli.grow import grow
from ray_compt.cli.plan import plan
from ray_compt.cli.report import report
from ray_compt.cli.status import status
from ray_compt.cli.submit import submit
from ray_compt.cli.teacher import app as teacher
from ray_compt.cli.train import train
from ray_compt.cli.tune import app as tune
from ray_compt.cli.verify import verify

app = typer.Typer(
    cls=Program,
    help="Elastic Chain-of-Models Pre-Training: a family of vision-language models for the cost of one.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)

app.command("check", cls=Command)(check)
app.command("doctor", cls=Command)(doctor)
app.command("plan", cls=Command)(plan)
app.command("design", cls=Command)(design)
app.command("train", cls=Command)(train)
app.command("submit", cls=Command)(submit)
app.command("status", cls=Command)(status)
app.command("eval", cls=Command)(evaluate)
app.command("finetune", cls=Command)(finetune)
app.command("grow", cls=Command)(grow)
app.command("report", cls=Command)(report)
app.command("verify", cls=Command)(verify)
app.add_typer(data, name="data")
app.add_typer(teacher, name="teacher")
app.add_typer(tune, name="tune")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"compt {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run `compt` with the process's arguments and exit."""
    app(prog_name="compt")
