"""What a run ran with stands in environment.json, start by start."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import ray_compt
from ray_compt.chain.environment import FILE, MOST, command_line, read_starts, this_start
from ray_compt.storage import open_place

NODES = [
    {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0, "accelerator_type:H200": 1.0}},
    {"Alive": True, "Resources": {"CPU": 8.0}},
    {"Alive": False, "Resources": {"GPU": 8.0}},
]


def test_a_start_says_with_what_and_on_what() -> None:
    start = this_start(["compt", "train", "digits"], NODES)
    assert start.command == "compt train digits"
    assert start.packages["ray_compt"] == ray_compt.__version__
    assert {"Python", "torch", "ray", "deepspeed", "open_clip_torch"} <= set(start.packages)
    assert start.nodes == [{"gpus": 2.0, "accelerator": "H200"}, {"gpus": 0, "accelerator": None}]
    assert start.cpus >= 1 and start.memory_gb > 0 and start.cpu and start.system


def test_a_command_can_be_pasted_and_gives_no_secret_away() -> None:
    given = ["compt", "train", "x", "--set", "data.train=s3://key:secret@bucket/{0..3}.tar", "a b"]
    assert command_line(given) == "compt train x --set 'data.train=s3://bucket/{0..3}.tar' 'a b'"


def test_the_commit_is_that_of_the_checkout() -> None:
    checkout = Path(ray_compt.__file__).parents[1]
    if not (checkout / ".git").exists():
        pytest.skip("ray_compt does not run from a git checkout here")
    head = subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], capture_output=True, text=True)
    commit = this_start(None, []).commit
    assert commit is not None and commit.rstrip("+") == head.stdout.strip()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"starts": 3}', "[" * 100_000])
def test_a_file_that_cannot_be_understood_is_no_history(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert read_starts(open_place(tmp_path)) == []


def test_starts_are_added_and_old_ones_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from ray_compt.chain.environment import record_start

    monkeypatch.setattr(ray, "nodes", lambda: NODES)
    (tmp_path / FILE).write_text(json.dumps({"starts": [{"command": str(n)} for n in range(MOST)]}))
    record_start(open_place(tmp_path), ["compt", "train", "digits"])
    starts = read_starts(open_place(tmp_path))
    assert [start["command"] for start in starts] == [*map(str, range(1, MOST)), "compt train digits"]
