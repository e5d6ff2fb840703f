"""What TensorBoard reads back of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from ray_compt.storage import open_place
from ray_compt.sweep.hparams import FOLDER, write_hparams
from ray_compt.sweep.record import TrialRecord, TrialState
from tests.sweep.records import METRIC, stage, trial


def read(run: Path) -> tuple[dict[str, float], Any, Any]:
    """Scalars, start and end of the session."""
    events = EventAccumulator(str(run / FOLDER))
    events.Reload()
    scalars = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    content = events.PluginTagToContent(metadata.PLUGIN_NAME)
    start = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    end = metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG])
    return scalars, start, end


def test_values_keep_their_kind_and_metrics_are_there(tmp_path: Path) -> None:
    values = {"lr": 0.5, "epochs": 3, "carry": True, "growth": "embed", "mix": [1, 2], "none": None}
    write_hparams(
        open_place(tmp_path), trial(7, 0.25, 1000, chain=("T", "S"), seed=5, values=values), now=12.0
    )
    scalars, start, end = read(tmp_path)
    assert scalars == {f"metric/{METRIC}": 0.25, "cost/macs": 1000, "cost/seconds": 10}
    found = {name: getattr(value, str(value.WhichOneof("kind"))) for name, value in start.hparams.items()}
    assert found == {
        "chain": "T → S",
        "seed": 5,
        "lr": 0.5,
        "epochs": 3,
        "carry": True,
        "growth": "embed",
        "mix": "[1, 2]",
        "none": "null",
    }
    assert found["carry"] is True and end.status == api_pb2.STATUS_SUCCESS


@pytest.mark.parametrize("state, status", [("failed", "STATUS_FAILURE"), ("pruned", "STATUS_SUCCESS")])
def test_a_trial_that_was_ended_says_so(tmp_path: Path, state: TrialState, status: str) -> None:
    ended: TrialRecord = trial(0, state=state, stages=(stage("S", state=state, macs=5),))
    write_hparams(open_place(tmp_path), ended)
    scalars, _, end = read(tmp_path)
    assert scalars == {"cost/macs": 5, "cost/seconds": 0}
    assert end.status == api_pb2.Status.Value(status)


def test_a_second_call_replaces_the_first(tmp_path: Path) -> None:
    for metric in (0.25, 0.5):
        write_hparams(open_place(tmp_path), trial(0, metric))
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    assert read(tmp_path)[0][f"metric/{METRIC}"] == 0.5
