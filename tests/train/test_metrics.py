"""metrics.jsonl holds every step once, whatever was cut off."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_compt.chain.verify_samples import StepLine, StepLines, read_steps
from ray_compt.storage import open_place, parts
from ray_compt.train.metrics import MetricsWriter, record_evaluation
from tests.s3 import S3


def _steps(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_steps_after_the_checkpoint_and_half_lines_are_dropped_on_resume(tmp_path: Path) -> None:
    writer = MetricsWriter(open_place(tmp_path), 0)
    for step in range(1, 6):
        writer.write(step, {"loss": 1.0 / step})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    writer = MetricsWriter(open_place(tmp_path), 3)
    writer.write(4, {"loss": 0.5})
    writer.close()
    assert _steps(tmp_path) == [1, 2, 3, 4]


def test_resuming_from_before_the_first_step_leaves_nothing(tmp_path: Path) -> None:
    writer = MetricsWriter(open_place(tmp_path), 0)
    writer.write(1, {"loss": 1.0})
    writer.close()
    MetricsWriter(open_place(tmp_path), 0).close()
    assert _steps(tmp_path) == []


def test_the_evaluation_stands_beside_the_steps_and_in_tensorboard(tmp_path: Path) -> None:
    writer = MetricsWriter(open_place(tmp_path), 0)
    writer.write(1, {"loss": 2.0})
    writer.close()
    record_evaluation(open_place(tmp_path), 1, {"zero_shot_top1": 0.5})
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])["evaluation"] == {
        "zero_shot_top1": 0.5
    }
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert set(board.Tags()["scalars"]) == {"train/loss", "evaluation/zero_shot_top1"}


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    writer = MetricsWriter(open_place(tmp_path), 0)
    writer.write(1, {"loss": float("nan"), "task_loss": float("inf"), "skipped_steps": 1})
    writer.close()
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text) == {"step": 1, "loss": None, "task_loss": None, "skipped_steps": 1}
    assert "NaN" not in text


def test_in_an_object_store_the_same_lines_are_put_at_each_flush(s3: S3, tmp_path: Path) -> None:
    place = open_place("s3://bucket/01-stage")
    writer = MetricsWriter(place, 0)
    writer.write(1, {"loss": 2.0})
    writer.flush()
    writer.write(2, {"loss": 1.0})
    assert len((place / "metrics.jsonl").read_text().splitlines()) == 1
    writer.close()
    # Another worker, elsewhere, goes on from a checkpoint at step 1.
    writer = MetricsWriter(place, 1)
    writer.write(2, {"loss": 0.5})
    writer.close()
    record_evaluation(place, 2, {"zero_shot_top1": 0.5})
    with place.local() as folder:
        assert _steps(folder) == [1, 2, 2]
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        board = EventAccumulator(str(folder / "tensorboard"))
        board.Reload()
        assert [event.step for event in board.Scalars("train/loss")] == [1, 2]


def test_in_an_object_store_no_put_grows_with_the_stage(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 100)
    place = open_place("s3://bucket/01-stage")
    writer = MetricsWriter(place, 0)
    for step in range(1, 13):
        writer.write(step, {"loss": 1.0 / step, "samples": step})
        writer.flush()
    writer.close()
    names = ["metrics.jsonl", *(f"metrics.jsonl.{n:04d}" for n in range(1, 5))]
    found = [keys for keys in place.names() if keys.startswith("metrics")]
    assert found == names[: len(found)] and len(found) > 3
    assert max(len((place / name).read_bytes()) for name in found) < 200
    assert [line.step for line in read_steps(place).steps] == list(range(1, 13))
    # Goes on from a checkpoint that lies two parts back.
    writer = MetricsWriter(place, 4)
    writer.write(5, {"loss": 0.5})
    writer.close()
    record_evaluation(place, 5, {"zero_shot_top1": 0.5})
    read = read_steps(place)
    assert ([line.step for line in read.steps], read.broken, read.cut) == ([1, 2, 3, 4, 5], (), False)
    with place.local() as folder:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        board = EventAccumulator(str(folder / "tensorboard"))
        board.Reload()
        assert [event.step for event in board.Scalars("train/loss")][-1] == 5


def test_on_a_disk_the_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 100)
    writer = MetricsWriter(open_place(tmp_path), 0)
    for step in range(1, 13):
        writer.write(step, {"loss": 1.0 / step})
        writer.flush()
    writer.close()
    assert _steps(tmp_path) == list(range(1, 13))
    assert [line.step for line in read_steps(open_place(tmp_path)).steps] == list(range(1, 13))


def test_a_half_line_is_broken_but_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"ste')
    assert read_steps(open_place(tmp_path)) == StepLines((StepLine(1, None),), (), True)
    (tmp_path / "metrics.jsonl.0001").write_text('{"step": 3}\n')
    assert read_steps(open_place(tmp_path)) == StepLines((StepLine(1, None), StepLine(3, None)), (2,), False)
