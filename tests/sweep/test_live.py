"""What a sweep shows while it runs."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from ray_compt.sweep.live import COLUMNS, LiveTable, duration, rows, seconds_left, summary
from ray_compt.sweep.record import SweepRecord, TrialRecord
from tests.sweep.records import done, eventful, stage, sweep, trial


def running(number: int, *, seconds: float = 0.0, name: str = "S") -> TrialRecord:
    return trial(number, state="running", stages=(stage(name, state="running", seconds=seconds, macs=7),))


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=160), stream


def test_rows_say_where_each_trial_is() -> None:
    shared = trial(1, 0.62, 2000, chain=("T", "S"), values={"train.lr": 1.25e-4}, seed=3)
    stages = (done("T", "t", 0.2, 1000, reused=True), *shared.stages)
    record = sweep(running(0), replace(shared, stages=stages), trial(2, state="pending", stages=()))
    cells = [dict(zip(COLUMNS, row)) for row in rows(record)]
    assert [row["state"] for row in cells] == ["S runs", "done", "pending"]
    assert [row["metric"] for row in cells] == ["-", "62.00 %", "-"]
    assert [row["cost"] for row in cells] == ["7 MACs", "3.00 k MACs", "-"]
    assert (cells[1]["chain"], cells[1]["values"], cells[1]["saved"]) == ("T → S", "lr=0.000125", "1.00 k")


def test_keys_are_as_short_as_they_can_be_told_apart():
    values = {"train.lr": 1e-3, "stages.T.epochs": 160.0, "stages.S.epochs": 7.5}
    (row,) = rows(sweep(trial(0, values=values)))
    assert "lr=0.001, T.epochs=160, S.epochs=7.5" in row


def test_of_many_trials_those_that_run_and_the_last_to_end_are_shown() -> None:
    record = eventful()
    assert [row[0] for row in rows(record, most=4)] == ["19", "20", "21", "22"]
    assert [row[0] for row in rows(record, most=1)] == ["22"]
    assert len(rows(record, most=24)) == 24


def test_the_summary_counts_and_names_the_best() -> None:
    words = summary(eventful(), planned=30)
    assert words.startswith(
        "20/30 trials done, 1 pruned, 1 failed, 1 running; best: candidate 9 with 68.50 % at "
    )
    assert " MACs paid, " in words and words.endswith("left")


def test_time_left_is_none_at_the_start_and_nothing_at_the_end() -> None:
    assert seconds_left(sweep(running(0), trial(1, state="pending", stages=()))) is None
    assert seconds_left(sweep(trial(0), trial(1))) == 0


def test_time_left_is_shared_by_those_that_run_at_once() -> None:
    """Each took 10 s; one that waits, and two halfway through."""
    ended = [trial(0, macs=1000), trial(1, macs=1000)]
    halfway = [running(2, seconds=5), running(3, seconds=5)]
    record = sweep(*ended, *halfway, trial(4, state="pending", stages=()))
    assert seconds_left(record) == pytest.approx((10 + 5 + 5) / 2)
    assert seconds_left(record, planned=7) == pytest.approx((30 + 5 + 5) / 2)


def test_reused_stages_take_no_time() -> None:
    free = trial(0, stages=(done("S", "s", 0.5, 1000, reused=True),))
    assert seconds_left(sweep(free, trial(1, state="pending", stages=()))) == 0


@pytest.mark.parametrize(
    "seconds, words", [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_durations_read_easily(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_without_a_terminal_only_what_changed_is_a_line() -> None:
    out, stream = console(terminal=False)
    pending = trial(0, state="pending", stages=())
    with LiveTable(out).shown() as table:
        for step in (pending, running(0, name="T"), running(0, name="T"), running(0), trial(0), trial(0)):
            table.update(sweep(step))
        table.update(sweep(trial(0), trial(1, state="failed", stages=(), error="no room\nmend: make room")))
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    assert lines == [
        "trial 0 (S, seed 0): T runs",
        "trial 0 (S, seed 0): S runs",
        "trial 0 (S, seed 0): done, 50.00 % at 1.00 k MACs",
        lines[3],
        "trial 1 (S, seed 0): failed: no room mend: make room",
        lines[5],
    ]
    assert lines[3].startswith("1/1 trials done; best: candidate 0") and "1 failed" in lines[5]


def test_of_a_sweep_that_goes_on_only_what_is_new_is_a_line() -> None:
    out, stream = console(terminal=False)
    with LiveTable(out).shown() as table:
        table.update(sweep(trial(0), trial(1), running(2)))
    lines = [line.strip() for line in stream.getvalue().splitlines()]
    assert len(lines) == 2 and lines[0].startswith("2/3 trials done, 1 running")
    assert lines[1] == "trial 2 (S, seed 0): S runs"


def test_on_a_terminal_there_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out, stream = console(terminal=True)
    record: SweepRecord = eventful(attack="[red]not markup[/red]")
    with LiveTable(out).shown() as table:
        table.update(record)
    shown = stream.getvalue()
    assert "S runs" in shown and "8 more trials not shown" in shown and "20/24 trials done" in shown
    assert "[red]not markup[/red]" in shown
