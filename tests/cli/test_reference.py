"""The committed reference of the command line is the one that the program writes, and leaves nothing out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ray_compt.cli.main import app
from ray_compt.cli.reference import leaves, reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = dict(leaves(typer.main.get_command(app), "compt"))


def section(path: str) -> str:
    return reference().split(f"\n## {path}\n")[1].split("\n## ")[0]


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "run: python -m ray_compt.cli.reference > docs/cli.md"
    )


def test_the_module_prints_the_page():
    command = [sys.executable, "-m", "ray_compt.cli.reference"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == reference()


def test_commands_of_groups_are_there_too():
    assert {"compt train", "compt tune run", "compt teacher serve"} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_parameter_has_a_line_with_its_meaning(path: str):
    lines = [line for line in section(path).splitlines() if line.startswith("- `")]
    meanings = dict(line.removeprefix("- ").split("`: ", 1) for line in lines)
    assert len(meanings) == len(COMMANDS[path].params)
    assert all(len(meaning.split()) > 1 for meaning in meanings.values())


@pytest.mark.parametrize("path", COMMANDS)
def test_the_text_is_the_helps(path: str):
    assert section(path).split("```")[2].strip().startswith((COMMANDS[path].help or "").split("\n")[0])


@pytest.mark.parametrize(
    "path, line",
    [
        ("compt finetune", "compt finetune MODEL --data SHARDS --val SHARDS --run-dir DIR [OPTIONS]"),
        ("compt eval", "where memory is short. (default `256`; at least 1)"),
        ("compt grow", "Seed of everything drawn. (default `0`; 0 to 4,294,967,295)"),
        ("compt train", "- `--track wandb|mlflow`: "),
        ("compt train", "(or `RAY_ADDRESS` in the environment)"),
        ("compt report", "- `--examples`, `--no-examples`: "),
        ("compt check", "- `--verbose`, `-v`: "),
    ],
)
def test_what_help_would_say_is_said(path: str, line: str):
    assert line in section(path)
