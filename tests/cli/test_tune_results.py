"""`compt tune best` and `compt tune report`, as the program runs them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from ray_compt.cli.command import Command, Program
from ray_compt.cli.tune import judge
from ray_compt.cli.tune_best import best
from ray_compt.cli.tune_report import report
from ray_compt.config import dump_chain, load_chain, make_chain
from ray_compt.report.terminal import Terminal
from ray_compt.storage import open_place
from ray_compt.sweep.record import SweepRecord, TrialState
from ray_compt.sweep.report import save
from tests.cli.small import small_chain
from tests.sweep.records import METRIC, sweep, trial

Tune = Callable[..., Result]


@pytest.fixture
def tune() -> Tune:
    app = typer.Typer(cls=Program)
    app.command("best", cls=Command)(best)
    app.command("report", cls=Command)(report)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sweep of two trials, of which the second is better; their chains differ in their seeds."""
    record: SweepRecord = sweep(trial(0, 0.4), trial(1, 0.6, 3000, seed=7))
    save(record, open_place(tmp_path / "quick"))
    for one in record.trials:
        chain = make_chain(small_chain(), [f"seed={one.seed}"], "here")
        open_place(tmp_path / "quick" / one.run / "chain.yaml").write_text(dump_chain(chain))
    return tmp_path / "quick"


def test_the_winner_becomes_a_chain_file(tune: Tune, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "chains" / "best.yaml"
    result = tune("best", folder, "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"trial 1 of digits_quick (S, seed 7): {out}\n"
    assert load_chain(out) == load_chain(folder / "trials" / "1" / "chain.yaml")
    assert out.read_text().startswith("# Trial 1 of the sweep digits_quick, ")


def test_another_trial_may_be_asked_for(tune: Tune, folder: Path, tmp_path: Path) -> None:
    result = tune("best", folder, "--trial", 0, "--out", tmp_path / "best.yaml", "--json")
    assert json.loads(result.stdout) == {
        "out": str(tmp_path / "best.yaml"),
        "trial": 0,
        "candidate": 0,
        "seed": 0,
        "metrics": {METRIC: 0.4},
        "macs": 1000,
    }
    assert load_chain(tmp_path / "best.yaml").seed == 0


def test_nothing_is_overwritten(tune: Tune, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("precious")
    result = tune("best", folder, "--out", tmp_path / "mine.yaml")
    assert result.exit_code == 2 and "is there already" in result.stderr
    assert (tmp_path / "mine.yaml").read_text() == "precious"


@pytest.mark.parametrize("command", [("best", "--out", "best.yaml"), ("report",)])
def test_a_folder_that_is_no_sweep_says_so(
    tune: Tune, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = tune(*command, tmp_path)
    assert result.exit_code == 2 and "no sweep here" in result.stderr and "mend: " in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_page_lies_in_the_sweeps_folder(tune: Tune, folder: Path) -> None:
    result = tune("report", folder)
    assert result.exit_code == 0
    assert result.stdout == (
        f"candidate 1 (S: 60.00 % at 3.00 k MACs) has the highest {METRIC}.\nreport: {folder / 'sweep.html'}\n"
    )
    assert "candidate 1" in (folder / "sweep.html").read_text()


def test_the_page_goes_where_it_is_asked_to(tune: Tune, folder: Path, tmp_path: Path) -> None:
    result = tune("report", folder, "--out", tmp_path / "my.html", "--json")
    document = json.loads(result.stdout)
    assert document["report"] == str(tmp_path / "my.html") and (tmp_path / "my.html").is_file()
    assert (document["winner"], document["front"], document["macs_paid"]) == (1, [0, 1], 4000)


def test_a_page_that_cannot_be_written_says_so(tune: Tune, folder: Path) -> None:
    result = tune("report", folder, "--out", folder / "sweep.json" / "page.html")
    assert result.exit_code == 2 and "cannot be written" in result.stderr


@pytest.mark.parametrize("states, code", [(("done", "pruned"), 0), (("done", "failed", "failed"), 1)])
def test_a_sweep_of_which_a_trial_failed_exits_with_1_and_says_so(
    states: tuple[TrialState, ...], code: int
) -> None:
    text = io.StringIO()
    record = sweep(*(trial(number, state=state) for number, state in enumerate(states)))
    with pytest.raises(typer.Exit) if code else nullcontext() as caught:
        judge(Terminal(Console(file=text, width=200)), record, "runs/quick/sweep.html")
    if caught is not None:
        assert caught.value.exit_code == code
        assert text.getvalue() == (
            "! 2 trials failed; runs/quick/sweep.html says why, and the same command tries again\n"
        )
