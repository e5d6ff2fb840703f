"""A sweep's folder is opened for the same sweep only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ray_compt.errors import UserError
from ray_compt.storage import open_place
from ray_compt.sweep.record import FILE, write_record
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.opening import open_record
from tests.sweep.files import CHAIN, SWEEP, bend, plan
from tests.sweep.records import trial


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """In which a trial has begun."""
    found = SweepFolder(open_place(tmp_path / "sweep"))
    record = open_record(plan(tmp_path), found, ["compt", "tune", "s3://KEY:SECRET@bucket/s.yaml"])
    assert record.trials == ()
    assert "SECRET" not in str(record.command)
    write_record(found.path / FILE, replace(record, trials=(trial(0),)))
    return found


def test_the_same_sweep_goes_on(tmp_path: Path, folder: SweepFolder) -> None:
    record = open_record(plan(tmp_path), folder, None)
    assert [one.number for one in record.trials] == [0]
    assert record.text == SWEEP
    assert record.command is not None


def test_a_new_question_may_be_asked_of_the_same_trials(tmp_path: Path, folder: SweepFolder) -> None:
    text = bend("metric: zero_shot_top1", "metric: image_to_text_r1, cost: macs")
    record = open_record(plan(tmp_path, text), folder, None)
    assert (record.objective.metric, record.objective.cost) == ("image_to_text_r1", "macs")
    assert record.text == text
    assert folder.sweep_file.read_text() == text


@pytest.mark.parametrize(
    "sweep, chain, overrides, named",
    [
        (bend("epochs: 3", "epochs: 4"), CHAIN, (), "space.stages.*.epochs"),
        (SWEEP, bend("lr: 1e-3", "lr: 2e-3", CHAIN), (), "train.lr of the base chain"),
        (SWEEP, CHAIN, ("train.lr=0.5",), "train.lr of the base chain"),
    ],
)
def test_another_sweep_is_refused(
    tmp_path: Path, folder: SweepFolder, sweep: str, chain: str, overrides: tuple[str, ...], named: str
) -> None:
    with pytest.raises(UserError, match="was another one") as caught:
        open_record(plan(tmp_path, sweep, *overrides, chain=chain), folder, None)
    assert caught.value.message.endswith(f" {named}")
    assert "--run-dir" in (caught.value.mend or "")
    assert folder.sweep_file.read_text() == SWEEP, "nothing of the old one is lost"


def test_before_the_first_trial_anything_may_change(tmp_path: Path) -> None:
    found = SweepFolder(open_place(tmp_path / "sweep"))
    write_record(found.path / FILE, open_record(plan(tmp_path), found, None))
    text = bend("epochs: 3", "epochs: 4")
    assert open_record(plan(tmp_path, text), found, None).text == text


def test_what_may_differ_in_a_base_chain_does(tmp_path: Path, folder: SweepFolder) -> None:
    smaller = bend("micro_batch: 8", "micro_batch: 2", CHAIN)
    assert open_record(plan(tmp_path, chain=smaller), folder, None).trials
