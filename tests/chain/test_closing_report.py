"""`compt train` leaves a report however it ends, and never at the cost of what it ends with."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ray_compt.chain.closing_report import leave_report, reported
from ray_compt.chain.ledger import Ledger
from ray_compt.chain.report import FILE
from ray_compt.errors import StorageError, TrainingError, UserError
from ray_compt.report.board import Event
from ray_compt.storage import open_place
from tests.report.html.eventful import make_eventful

CONSOLE = Console(width=500)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_eventful(tmp_path_factory.mktemp("eventful"), alone=False)


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A run whose second stage broke off."""
    copy = Path(shutil.copytree(made, tmp_path / "run"))
    ledger = Ledger.open(open_place(copy / "ledger.json"))
    ledger.update(ledger.stages[1], state="running", steps=5, metrics={})
    return copy


def _end(run: Path | str, ending: BaseException | None, *, heard: str = "event") -> None:
    """A run that tells its watch of this and ends so."""
    with reported(str(run), CONSOLE) as watch:
        if heard == "event":
            watch.event(None, Event("started", {}))
        if heard == "stage_done":
            watch.stage_done(None)
        if ending is not None:
            raise ending


def _at_once(*_: Any, **__: Any) -> Any:
    raise AssertionError("nothing may be written")


ENDINGS = (
    TrainingError("no room", where="stage large"),
    KeyboardInterrupt(),
    SystemExit(143),
    RuntimeError("a bug"),
    StorageError("no answer"),
)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda one: type(one).__name__)
def test_one_that_breaks_off_is_shown_and_ends_as_it_would(
    run: Path, capsys: pytest.CaptureFixture[str], ending: BaseException
) -> None:
    with pytest.raises(type(ending)) as caught:
        _end(run, ending)
    assert caught.value is ending
    assert capsys.readouterr().out == f"report: {run / FILE}\n"
    text = (run / FILE).read_text()
    assert "02-large is stopped" in text and "the run had not ended" in text


@pytest.mark.parametrize("ending", [None, *ENDINGS[:2]], ids=["whole", "failed", "stopped"])
def test_without_a_report_there_is_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], ending: BaseException | None
) -> None:
    (run / "chain.yaml").unlink()
    with suppress(TrainingError, KeyboardInterrupt):
        _end(run, ending)
    printed = capsys.readouterr().out
    assert printed.startswith("! no report: no such chain file") and printed.count("\n") == 1
    assert f"`compt report {run}`" in printed


def test_one_that_ended_has_its_examples(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _end(run, None)
    assert capsys.readouterr().out == f"report: {run / FILE}\n"
    assert "small on 12 validation samples" in (run / FILE).read_text()


def test_a_folder_that_refused_this_start_keeps_its_report(run: Path) -> None:
    with pytest.raises(UserError, match="another driver"):
        _end(run, UserError("another driver trains here"), heard="nothing")
    assert not (run / FILE).exists()


def test_a_stage_that_was_done_before_is_something_to_show(run: Path) -> None:
    with pytest.raises(UserError, match="no teacher"):
        _end(run, UserError("no teacher"), heard="stage_done")
    assert (run / FILE).exists()


def test_before_the_first_step_there_is_nothing_to_show_and_nothing_to_say(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = Ledger.open(open_place(run / "ledger.json"))
    for entry in tuple(ledger.stages):
        ledger.update(entry, state="failed", steps=0)
    with pytest.raises(TrainingError):
        _end(run, TrainingError("no room"))
    assert capsys.readouterr().out == "" and not (run / FILE).exists()
    leave_report(str(run), CONSOLE)
    assert "no stage of this run is done" in capsys.readouterr().out


def test_a_store_that_does_not_answer_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ray_compt.chain.closing_report.write_report", _at_once)
    with pytest.raises(StorageError, match="no answer"):
        _end("s3://bucket/run", StorageError("no answer"))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("second", [KeyboardInterrupt, SystemExit])
def test_a_second_signal_ends_the_report_alone(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    second: type[BaseException],
) -> None:
    def stopped(*_: Any, **__: Any) -> Any:
        raise second

    monkeypatch.setattr("ray_compt.chain.closing_report.write_report", stopped)
    first = TrainingError("no room")
    with pytest.raises(TrainingError) as caught:
        _end(run, first)
    assert caught.value is first
    assert "! no report: stopped; `compt report" in capsys.readouterr().out
