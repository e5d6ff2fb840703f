"""What becomes of the events of a stage that keeps its features."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from ray_compt.chain.bad_samples import BadSamples
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.listener import EVENTS, Listener
from ray_compt.report.board import Event
from ray_compt.report.terminal import StageLines, Terminal
from ray_compt.report.track import Trackers
from ray_compt.storage import JsonLines, LocalPlace
from tests.report.track.test_fan_out import Notebook


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def listener(tmp_path: Path, said: io.StringIO) -> Listener:
    entry = StageEntry("large", "02-large", "m", 1, teacher_samples=100)
    ledger = Ledger(LocalPlace(tmp_path / "ledger.json"), "tiny", [entry], [])
    lines = StageLines(Terminal(Console(file=said, width=160)), "large", 9)
    folder = LocalPlace(tmp_path)
    return Listener(ledger, entry, lines, BadSamples(folder, []), JsonLines(folder, EVENTS), 0.0, 0.0)


def test_computed_features_are_added_up_over_workers_and_runs(listener: Listener, tmp_path: Path) -> None:
    for computed in (8, 16):
        listener(Event("features", {"computed": computed}))
    assert listener.features == 124
    listener._saved = -1e9
    listener(Event("progress", {"step": 1, "loss": 1.0, "seconds": 1.0, "samples": 8, "scalars": {}}))
    assert json.loads((tmp_path / "ledger.json").read_text())["stages"][0]["teacher_samples"] == 124
    assert not (tmp_path / EVENTS).exists()


def test_what_every_worker_says_is_shown_once(listener: Listener, said: io.StringIO, tmp_path: Path) -> None:
    for _ in range(3):
        listener(Event("note", {"text": "no room", "once": True}))
        listener(Event("note", {"text": "again"}))
    assert said.getvalue().count("no room") == 1
    assert said.getvalue().count("again") == 3
    assert len((tmp_path / EVENTS).read_text().splitlines()) == 6


def test_a_steps_scalars_go_to_the_trackers_under_tensorboards_names(listener: Listener) -> None:
    notebook = Notebook()
    listener.trackers = Trackers([notebook], pytest.fail)
    scalars = {"loss": 1.5, "step_ms": None}
    listener(Event("progress", {"step": 3, "loss": 1.5, "seconds": 1.0, "samples": 8, "scalars": scalars}))
    listener.trackers.close(failed=False)
    assert notebook.lines == [("02-large", 3, {"train/loss": 1.5})]
