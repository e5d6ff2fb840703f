"""`compt train` ends with what ended it, and with a report before that (tests/chain/test_closing_report.py)."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from ray_compt.errors import TrainingError
from ray_compt.report.board import Event
from tests.report.html.eventful import make_eventful


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(
    ("ending", "code", "last"),
    [
        (TrainingError("no room", where="stage large", mend="make some"), 1, "error: stage large: no room"),
        (KeyboardInterrupt(), 130, "stopped; what was trained is kept"),
        (SystemExit(1), 143, "stopped; what was trained is kept"),
        (RuntimeError("a bug"), 70, "internal error: RuntimeError: a bug"),
    ],
    ids=["failed", "interrupted", "terminated", "bug"],
)
def test_a_run_that_breaks_off_leaves_its_report_and_its_own_exit_code(
    compt: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    ending: BaseException,
    code: int,
    last: str,
) -> None:
    run = make_eventful(tmp_path, alone=False)

    def trained(*_: Any, watch: Any, **__: Any) -> Any:
        watch.event(None, Event("started", {}))
        raise ending

    monkeypatch.setattr("ray_compt.chain.run.train_chain", trained)
    monkeypatch.setattr("ray_compt.forkserver.preloading", nullcontext)
    result = compt("train", run / "chain.yaml", "--run-dir", run)
    assert result.exit_code == code
    assert result.stdout == f"report: {run / 'report.html'}\n"
    assert result.stderr.startswith(last) and "report" not in result.stderr
