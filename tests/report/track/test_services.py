"""Both services through their own libraries, offline: what was logged is read back from what they wrote."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ray_compt.errors import UserError
from ray_compt.report.track import open_trackers
from ray_compt.report.track.mlflow_tracker import flat
from ray_compt.report.track.opening import FILE
from ray_compt.storage import open_place

CONFIG = {"name": "digits", "stages": [{"epochs": 12}], "data": {"val": None}}
BLOCK, HEADER = 32_768, 7


@pytest.fixture
def wandb_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    return tmp_path / "wandb"


@pytest.fixture
def mlflow_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlflow").as_uri())
    # Without SQLAlchemy, which mlflow-skinny leaves out, files are the only store without a server.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


def track(service: str, run: Path, steps: range, *, failed: bool = False) -> None:
    trackers = open_trackers([service], open_place(run), "digits", CONFIG, pytest.fail)
    for step in steps:
        trackers.log("01-a", step, {"train/loss": 1.0 / step})
    trackers.log("02-b", 1, {"evaluation/zero_shot_top1": 0.5})
    trackers.close(failed=failed)
    if service == "wandb":
        import wandb

        # As the process's end does: its service has then written everything, and another one reads settings anew.
        wandb.teardown()


def test_wandb_has_each_stage_on_its_own_steps(wandb_folder: Path, tmp_path: Path) -> None:
    track("wandb", tmp_path, range(1, 4))
    (file,) = wandb_folder.glob("offline-run-*/run-*.wandb")
    records = list(wandb_records(file))
    rows = [row for row in map(history, records) if row]
    assert [(row.get("01-a/step"), row.get("01-a/train/loss")) for row in rows[:3]] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1 / 3),
    ]
    assert rows[3]["02-b/evaluation/zero_shot_top1"] == 0.5
    axes = {r.metric.glob_name: r.metric.step_metric for r in records if r.metric.glob_name}
    assert axes == {"01-a/*": "01-a/step", "02-b/*": "02-b/step"}
    (begun,) = [record.run for record in records if record.run.run_id]
    assert (begun.display_name, begun.project) == ("digits", "ray_compt")
    assert {item.key: item.value_json for item in begun.config.update}["name"] == '"digits"'
    assert identities(tmp_path) == {"wandb": begun.run_id}
    assert [record.exit.exit_code for record in records if record.HasField("exit")] == [0]


def test_wandb_goes_on_with_its_run(wandb_folder: Path, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"wandb": "abcd1234", "other": 3}')
    track("wandb", tmp_path, range(4, 5), failed=True)
    (file,) = wandb_folder.glob("offline-run-*-abcd1234/run-abcd1234.wandb")
    assert [record.exit.exit_code for record in wandb_records(file) if record.HasField("exit")] == [1]


@pytest.mark.usefixtures("mlflow_store")
def test_mlflow_has_metrics_parameters_and_the_end(tmp_path: Path) -> None:
    from mlflow.tracking import MlflowClient

    track("mlflow", tmp_path, range(1, 3), failed=True)
    client, identity = MlflowClient(), identities(tmp_path)["mlflow"]
    run = client.get_run(identity)
    assert (run.info.run_name, run.info.status) == ("digits", "FAILED")
    assert client.get_experiment(run.info.experiment_id).name == "ray_compt"
    assert run.data.params == {"name": "digits", "stages.0.epochs": "12", "data.val": "None"}
    assert run.data.metrics["02-b/evaluation/zero_shot_top1"] == 0.5
    # Another start goes on with the same run.
    track("mlflow", tmp_path, range(2, 4))
    history = client.get_metric_history(identity, "01-a/train/loss")
    assert sorted({(point.step, point.value) for point in history}) == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert client.get_run(identity).info.status == "FINISHED"


@pytest.mark.usefixtures("mlflow_store")
def test_a_service_that_refuses_says_so_before_training(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"mlflow": "never-seen"}')
    with pytest.raises(UserError, match="mlflow cannot be opened .*never-seen"):
        open_trackers(["mlflow"], open_place(tmp_path), "digits", CONFIG, pytest.fail)


@pytest.mark.parametrize("service", ["wandb", "mlflow"])
def test_a_missing_library_says_how_to_get_it(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == service]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, service, None)
    with pytest.raises(UserError, match=f"pip install 'ray_compt\\[{service}\\]'"):
        open_trackers([service], open_place(tmp_path), "digits", CONFIG, pytest.fail)
    assert not (tmp_path / FILE).exists()


def test_a_tree_becomes_flat_parameters() -> None:
    long = "x" * 1000
    tree = {"a": {"b": [1, {"c": None}], "d": []}, "e": long}
    assert dict(flat(tree)) == {"a.b.0": "1", "a.b.1.c": "None", "e": long[:500]}


def identities(run: Path) -> dict[str, str]:
    return json.loads((run / FILE).read_text())


def history(record: Any) -> dict[str, Any]:
    items = record.history.item
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def wandb_records(file: Path) -> Iterator[Any]:
    """Records of a .wandb file: LevelDB's log format after seven bytes; parts are first, middle and last."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = file.read_bytes(), HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + HEADER : place + HEADER + size]
        place += HEADER + size
        if kind in (1, 4):  # whole, or its last part
            record = Record()
            record.ParseFromString(parts)
            yield record
            parts = b""
