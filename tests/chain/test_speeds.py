"""What a run folder says of its stages' speed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.speeds import read_speeds
from ray_compt.config import dump_chain, load_chain
from ray_compt.models import model_name
from ray_compt.storage import open_place

DONE = {"state": "done", "samples": 9600, "samples_per_second": 480.0, "seconds": 32.0, "parameters": 1000}


@pytest.fixture
def write_run(tmp_path: Path):
    """A run of the shipped digits; each stage with changes of its entry, and the numbers of workers it started with."""

    def write(*stages: tuple[dict[str, object], list[object]]) -> RunFolder:
        chain = load_chain("digits")
        entries = []
        for number, (changes, starts) in enumerate(stages):
            stage, folder = chain.stages[number], f"0{number + 1}-{number}"
            entry = StageEntry(stage.name, folder, model_name(stage.model), stage.epochs)
            entries.append(replace(entry, **{**DONE, **changes}))
            (tmp_path / folder).mkdir()
            lines = [{"time": 1.0, "event": "started", "workers": count, "step": 0} for count in starts]
            (tmp_path / folder / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
        Ledger(open_place(tmp_path / "ledger.json"), chain.name, entries, [], 1437).save()
        (tmp_path / "chain.yaml").write_text(dump_chain(chain))
        return RunFolder(open_place(tmp_path))

    return write


def test_a_finished_stage_has_a_speed(write_run):
    (found,) = read_speeds(write_run(({}, [2])))
    assert (found.workers, found.parameters, found.captions) == (2, 1000, 1)
    assert found.step_s == pytest.approx(96 / 480)
    assert found.start_s == pytest.approx(32 - 9600 / 480)
    assert found.teacher_macs == 0
    assert found.config["vision_cfg"]["width"] == 32


@pytest.mark.parametrize("teacher, macs", [("inline", 500.0), ("actor", 0.0), ("cache", 0.0)])
def test_only_a_teacher_inside_the_workers_is_their_work(write_run, teacher, macs):
    (found,) = read_speeds(write_run(({"teacher": teacher, "teacher_macs": 500 * 9600}, [1])))
    assert found.teacher_macs == macs


@pytest.mark.parametrize(
    "changes, starts",
    [
        ({"state": "running"}, [1]),
        ({"state": "failed"}, [1]),
        ({"reused": True}, [1]),
        ({"samples_per_second": 0.0}, [1]),
        ({}, [1, 2]),
        ({}, []),
        ({}, ["many"]),
        ({}, [0]),
    ],
)
def test_a_stage_whose_speed_is_not_known_is_left_out(write_run, changes, starts):
    found = read_speeds(write_run((changes, starts), ({}, [1, 1])))
    assert [one.workers for one in found] == [1]
