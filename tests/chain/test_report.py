"""From a run folder to facts and a file. What the file looks like: tests/report/html/."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import FINETUNED, Ledger
from ray_compt.chain.report import FILE, read_run, write_report
from ray_compt.errors import UserError
from ray_compt.storage import open_place
from tests.report.html.eventful import ATTACK, LARGE, SMALL, make_eventful


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_eventful(tmp_path_factory.mktemp("eventful"), alone=False)


@pytest.fixture
def lived(made: Path, tmp_path: Path) -> Path:
    """A run folder to change."""
    return Path(shutil.copytree(made, tmp_path / "run"))


def _change(run: Path, number: int, **changes: object) -> None:
    ledger = Ledger.open(open_place(run / "ledger.json"))
    ledger.update(ledger.stages[number], **changes)


def _text(run: Path, *more: str) -> str:
    file = run / FILE
    write_report([str(run), *more], open_place(file), examples=False)
    return file.read_text()


def test_a_finished_stages_cost_is_the_ledgers(lived: Path) -> None:
    run = read_run(RunFolder(open_place(lived)))
    entries = Ledger.open(open_place(lived / "ledger.json")).stages
    assert [(stage.macs, stage.teacher_macs) for stage in run.stages] == [
        (entry.macs, entry.teacher_macs) for entry in entries
    ]
    assert (run.individual, run.alone_is_measured) == ([], False)
    assert run.family_alone_macs == run.cost.individual_macs


def test_a_stage_that_still_trains_has_cost_its_part_of_the_plan(lived: Path) -> None:
    _change(lived, 1, state="running", steps=10, macs=0, teacher_macs=0, metrics={})
    (lived / "driver.json").write_text('{"host": "far", "pid": 1, "started": 1.0}')
    run = read_run(RunFolder(open_place(lived)))
    planned = run.cost.stages[1]
    assert run.stages[1].planned_steps == planned.steps > 10
    assert run.stages[1].student_macs == planned.student_macs * 10 // planned.steps
    assert 0 < run.stages[1].teacher_macs <= planned.teacher_macs
    assert "02-large is running" in _text(lived)


def test_a_run_that_nobody_drives_any_more_is_stopped(lived: Path) -> None:
    _change(lived, 1, state="running", steps=10)
    assert "02-large is stopped" in _text(lived)


def test_a_run_without_a_finished_stage_is_shown_from_its_first_step_on(lived: Path) -> None:
    _change(lived, 1, state="pending", steps=0, metrics={}, grown_metrics={})
    _change(lived, 0, state="failed", steps=3, error="no room", metrics={})
    text = _text(lived)
    assert "01-small is failed" in text and "no room" in text and "plot-0-losses" in text


def test_a_fine_tuning_under_way_has_cost_what_its_ledger_says(lived: Path) -> None:
    for number in (0, 1):
        _change(lived, number, growth=FINETUNED, state="running", steps=10, macs=700, teacher_macs=0)
    run = read_run(RunFolder(open_place(lived)))
    assert run.finetuned and [stage.macs for stage in run.stages] == [700, 700]


def test_a_report_only_reads_and_is_whole(lived: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in lived.rglob("*") if path.is_file()}
    write_report([str(lived)], open_place(tmp_path / "there" / "out.html"), examples=False)
    assert {path: path.read_bytes() for path in lived.rglob("*") if path.is_file()} == before
    assert (tmp_path / "there" / "out.html").read_text().rstrip().endswith("</html>")


def test_examples_come_from_the_last_finished_model(lived: Path) -> None:
    write_report([str(lived)], open_place(lived / FILE))
    text = (lived / FILE).read_text()
    assert "large on 12 validation samples with 12 distinct captions" in text
    _change(lived, 1, state="running")
    write_report([str(lived)], open_place(lived / FILE))
    assert "small on 12 validation samples" in (lived / FILE).read_text()


def test_without_the_split_a_sentence_stands_where_the_examples_were(made: Path, tmp_path: Path) -> None:
    run = make_eventful(tmp_path, alone=False)
    (tmp_path / "val.tar").unlink()
    write_report([str(run)], open_place(run / FILE))
    text = (run / FILE).read_text()
    assert "None: they could not be made (" in text and 'class="example ' not in text


def test_a_model_that_is_damaged_costs_only_its_examples(lived: Path) -> None:
    (lived / LARGE / "model.safetensors").write_bytes(b"")
    write_report([str(lived)], open_place(lived / FILE))
    assert "None: they could not be made (damaged" in (lived / FILE).read_text()


@pytest.mark.parametrize("lost", ["metrics.jsonl", "events.jsonl", "bad_samples.jsonl"])
def test_what_a_stage_has_lost_is_left_out(lived: Path, lost: str) -> None:
    for stage in (SMALL, LARGE):
        (lived / stage / lost).unlink(missing_ok=True)
    (lived / "environment.json").unlink()
    assert "Cost of each stage" in _text(lived)


def test_runs_are_compared(lived: Path, made: Path) -> None:
    assert _text(lived, str(made)).count("<section") == 2


def test_credentials_stay_out(lived: Path) -> None:
    chain = lived / "chain.yaml"
    chain.write_text(
        chain.read_text().replace("builtin:digits/train", "s3://key:secret@bucket/{0..3}.tar?token=x1")
    )
    text = _text(lived)
    assert "s3://bucket/{0..3}.tar" in text and "secret" not in text and "token=x1" not in text


def test_strangers_words_are_escaped(lived: Path) -> None:
    assert ATTACK not in _text(lived)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda run: shutil.rmtree(run), "no ledger here"),
        (lambda run: (run / "ledger.json").write_text("{"), "the ledger cannot be read"),
        (lambda run: (run / "chain.yaml").unlink(), "no such chain file"),
        (
            lambda run: [_change(run, number, state="pending", steps=0) for number in (0, 1)],
            "no stage of this run is done",
        ),
    ],
)
def test_what_is_no_run_is_said(lived: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(lived)
    with pytest.raises(UserError, match=message):
        write_report([str(lived)], open_place(lived / FILE), examples=False)
    assert not (lived / FILE).exists()


def test_a_file_that_cannot_be_written_is_said(lived: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_report([str(lived)], open_place(lived / "chain.yaml" / "x.html"), examples=False)
