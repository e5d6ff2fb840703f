"""What `verify_run` says of checkpoints, also of those that come and go while it looks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ray_compt.chain import verify_files
from ray_compt.chain.verify import verify_run
from tests.chain.damage import FINAL, check, cut, files, stage
from tests.chain.fabricate import LARGE, SMALL, SMALL_STEPS, checkpoint


def test_a_changed_number_in_a_checkpoints_header_is_found(run: Path) -> None:
    header = run / FINAL / "state.json"
    header.write_text(header.read_text().replace(f'"step": {SMALL_STEPS}', f'"step": {SMALL_STEPS + 1}'))
    assert "it is not what was written" in stage(check(run), SMALL).problems[0].what


def test_an_unfinished_checkpoint_is_no_fault(run: Path) -> None:
    (run / LARGE / "checkpoints" / "checkpoint_000002").mkdir()
    (run / LARGE / "checkpoints" / "checkpoint_000002" / "weights.safetensors").write_bytes(b"half")
    report = check(run)
    assert report.well
    assert [one.complete for one in stage(report, LARGE).checkpoints] == [False, True]


def test_a_checkpoint_on_its_way_is_waited_for(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = run / LARGE / "checkpoints" / "checkpoint_000001" / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    arriving = [whole[:200], whole]
    monkeypatch.setattr(verify_files.time, "sleep", lambda seconds: weights.write_bytes(arriving.pop(0)))
    assert verify_run(run, settle_s=1).well
    assert arriving == []


def test_a_checkpoint_that_stays_broken_is_a_fault_of_a_running_stage_too(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(f"{LARGE}/checkpoints/checkpoint_000001/weights.safetensors")(run)
    monkeypatch.setattr(verify_files.time, "sleep", lambda seconds: None)
    assert [problem.kind for problem in stage(verify_run(run, settle_s=1), LARGE).problems] == ["checkpoint"]


def test_a_checkpoint_that_is_replaced_meanwhile_is_no_fault(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = checkpoint(run / LARGE, 2)
    (old / "weights.safetensors").unlink()
    monkeypatch.setattr(verify_files.time, "sleep", lambda seconds: shutil.rmtree(old))
    report = verify_run(run, settle_s=1)
    assert report.well and [one.step for one in stage(report, LARGE).checkpoints] == [1]


def test_nothing_is_written(run: Path) -> None:
    for table in (run / "index").glob("*.arrow"):
        table.unlink()
    before = files(run)
    assert check(run).well
    assert files(run) == before
