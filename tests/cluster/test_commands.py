"""What the files under cluster/ and their page tell people to run is what the program takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.errors import UserError
from tests.cluster.compt import check_command
from tests.cluster.files import CLUSTER, DOCS, ROOT, train_commands

FILES = [file for file in sorted(CLUSTER.rglob("*")) if file.is_file()] + [DOCS]
NAMED = [(file, words) for file in FILES for words in train_commands(file.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "file, words",
    [pytest.param(file, words, id=f"{file.name}: {' '.join(words)}") for file, words in NAMED],
)
def test_compt_takes_it(file: Path, words: list[str]):
    check_command(words)


def test_commands_are_found():
    assert {file.name for file, _ in NAMED} >= {"rayjob.yaml", "clusters.md", "Dockerfile"}


def test_a_wrong_option_would_be_noticed():
    with pytest.raises(Exception, match="No such option: --runs"):
        check_command(["train", "vit_4", "--runs", "/data/runs"])


def test_a_wrong_key_would_be_noticed():
    with pytest.raises(UserError):
        check_command(["train", "vit_4", "--set", "workers.maximum=3"])


def test_the_page_names_every_file():
    page = DOCS.read_text(encoding="utf-8")
    files = {file.relative_to(ROOT).as_posix() for file in FILES if file != DOCS}
    assert {file for file in files if file not in page} == set()
