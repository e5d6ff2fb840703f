"""`compt report`: where the file goes. Its content: tests/report/html/."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.report.html.eventful import make_eventful


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_eventful(tmp_path_factory.mktemp("eventful"), alone=False)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def test_one_runs_report_lies_in_its_folder(compt: Callable[..., Result], run: Path) -> None:
    result = compt("report", run, "--no-examples")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"report: {run / 'report.html'}\n"
    assert "they were not asked for" in (run / "report.html").read_text()


def test_several_runs_go_into_one_file_here(
    compt: Callable[..., Result], run: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = compt("report", run, made, "--no-examples", "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["report"] == "report.html"
    assert [one["path"] for one in document["runs"]] == [str(run), str(made)]
    assert (tmp_path / "report.html").is_file() and not (run / "report.html").exists()


def test_the_file_goes_where_it_is_asked_to(compt: Callable[..., Result], run: Path, tmp_path: Path) -> None:
    assert compt("report", run, "--no-examples", "--out", tmp_path / "my.html").exit_code == 0
    assert (tmp_path / "my.html").is_file()
