"""What nodes lack of the paths, in findings."""

from __future__ import annotations

import pytest

from ray_compt.doctor.judge_paths import judge_paths
from ray_compt.doctor.reach import Unreached

SEEN = {"data.train": "3 files", "run folder": "/runs/x"}


def _lost(path: str, kind: str = "missing", name: str = "data.train") -> Unreached:
    return Unreached(name, path, kind, "is not there")


def test_every_check_gets_a_line_when_all_nodes_see_everything():
    found = judge_paths(SEEN, {"a": [], "b": []}, 2)
    assert [(one.name, one.state, one.found) for one in found] == [
        ("data.train", "ok", "3 files; the same on 2 nodes"),
        ("run folder", "ok", "/runs/x; the same on 2 nodes"),
    ]


def test_a_machine_alone_is_not_compared_with_others():
    assert [one.found for one in judge_paths(SEEN, {}, 1)] == ["3 files", "/runs/x"]


def test_the_node_is_named_and_only_the_check_that_it_fails_is_wrong():
    train, run = judge_paths(SEEN, {"a": [], "b": [_lost("/data/0.tar"), _lost("/data/1.tar")]}, 2)
    assert (train.state, train.nodes) == ("wrong", ("b",))
    assert train.found == "/data/0.tar is not there, and 1 more like it"
    assert train.mend and "every node mounts" in train.mend
    assert run.state == "ok"


@pytest.mark.parametrize(
    "kind, says",
    [
        ("missing", "s3://"),
        ("other", "of its own"),
        ("unreadable", "right to read"),
        ("unwritable", "right to write"),
        ("silent", "hangs"),
        ("store", "credentials"),
    ],
)
def test_every_kind_has_its_mend(kind: str, says: str):
    (found,) = judge_paths({"data.train": "x"}, {"a": [_lost("/data", kind)]}, 1)
    assert found.mend and says in found.mend
