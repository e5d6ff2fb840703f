"""The driver's and a node's side of a path, both in this process: another folder stands for another machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ray_compt.doctor import reach
from ray_compt.doctor.asked import Reading, Writing
from ray_compt.doctor.driver import evenly, not_seen, open_paths, standing
from ray_compt.doctor.reach import MARK, Mark, Sample, unreached
from ray_compt.storage import open_place

NODE = "0123456789ab"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    folder = tmp_path / "shards"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number:05d}.tar").write_bytes(f"shard {number}".encode() * 100)
    return folder


def _kinds(found) -> list[str]:
    return [one.kind for one in found]


def test_a_machine_that_has_everything_lacks_nothing(tmp_path: Path, shards: Path):
    reads = [Reading("data.train", str(shards / "{00000..00019}.tar"))]
    writes = [Writing("run folder", str(tmp_path / "runs" / "x"))]
    with open_paths(reads, writes) as paths:
        assert paths.findings == ()
        assert unreached(paths.samples, paths.marks, NODE) == []
        assert not_seen(paths.marks, NODE) == []
        assert paths.seen["data.train"] == f"20 files, the first {shards / '00000.tar'}"
    assert len(paths.samples) == 16
    assert {Path(sample.path).name for sample in paths.samples} > {"00000.tar", "00019.tar"}


def test_no_mark_is_left_and_no_folder_made(tmp_path: Path):
    before = sorted(tmp_path.rglob("*"))
    with open_paths([], [Writing("run folder", str(tmp_path / "runs" / "x"))]) as paths:
        unreached([], paths.marks, NODE)
        assert any(file.name.startswith(MARK) for file in tmp_path.iterdir())
    assert sorted(tmp_path.rglob("*")) == before


def test_a_node_that_writes_late_takes_its_mark_away(tmp_path: Path):
    mark = Mark("run folder", str(tmp_path), "key")
    (tmp_path / f"{MARK}key").write_text("key")
    write = reach.open_place(reach.mark_path(mark, NODE)).write_text

    class Late:
        """The driver tidies up between a node's look and its write."""

        def __init__(self, place):
            self._place = place

        def __getattr__(self, name: str):
            return getattr(self._place, name)

        def write_text(self, text: str) -> None:
            os.unlink(tmp_path / f"{MARK}key")
            write(text)

    original = reach.open_place
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reach, "open_place", lambda path: Late(original(path)))
        assert unreached([], [mark], NODE) == []
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_is_not_there_or_is_another_one_is_named(shards: Path):
    with open_paths([Reading("data.train", str(shards))], []) as paths:
        (shards / "00000.tar").unlink()
        (shards / "00019.tar").write_bytes(b"shard of another machine")
        found = unreached(paths.samples, paths.marks, NODE)
    assert [(Path(one.path).name, one.kind) for one in found] == [
        ("00000.tar", "missing"),
        ("00019.tar", "other"),
    ]


def test_a_folder_of_the_same_name_on_another_disk_is_told_from_the_shared_one(tmp_path: Path):
    with open_paths([], [Writing("run folder", str(tmp_path))]) as paths:
        (tmp_path / f"{MARK}{paths.marks[0].key}").unlink()
        assert _kinds(unreached([], paths.marks, NODE)) == ["other"]
        elsewhere = Mark("run folder", str(tmp_path / "nowhere"), "key")
        assert _kinds(unreached([], [elsewhere], NODE)) == ["missing"]


def test_what_a_node_writes_has_to_reach_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ray_compt.doctor.driver.SEEN_WAIT_S", 0.0)
    with open_paths([], [Writing("run folder", str(tmp_path))]) as paths:
        assert _kinds(not_seen(paths.marks, NODE)) == ["other"]
        assert unreached([], paths.marks, NODE) == []
        assert not_seen(paths.marks, NODE) == []


def test_a_folder_that_cannot_be_written_is_told_from_one_that_is_not_there(tmp_path: Path):
    mark = Mark("run folder", str(tmp_path), "key")
    (tmp_path / f"{MARK}key").write_text("key")
    # A folder in the place of the node's mark: root may write everywhere else.
    (tmp_path / f"{MARK}key-{NODE}").mkdir()
    (found,) = unreached([], [mark], NODE)
    assert found.kind == "unwritable" and "cannot be written" in found.reason


def test_a_mount_that_hangs_does_not_hold_the_probe_up(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = unreached([Sample("data.train", str(pipe), "00")], [], NODE, seconds=0.2)
    assert [(one.kind, one.reason) for one in found] == [("silent", "does not answer within 0.2 s")]
    os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_what_the_driver_does_not_find_is_said_once_and_nodes_are_not_asked(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    reads = [Reading("data.train", str(tmp_path / "none.tar")), Reading("data.val", "builtin:digits/val")]
    with open_paths(reads, [Writing("run folder", str(tmp_path / "file" / "run"))]) as paths:
        assert (paths.samples, paths.marks) == ((), ())
    train, run = paths.findings
    assert (train.state, run.state) == ("wrong", "wrong")
    assert "no shard at" in train.found and "a file is in the way" in run.found
    assert paths.seen == {"data.val": "builtin:digits/val comes with a package"}


def test_labelled_pictures_are_looked_for_by_their_folder(tmp_path: Path):
    with open_paths([Reading("task pets", f"folder:{tmp_path}")], []) as paths:
        assert [(one.path, one.digest) for one in paths.samples] == [(str(tmp_path), None)]
        assert unreached(paths.samples, [], NODE) == []
    gone = Sample("task pets", str(tmp_path / "gone"), None)
    assert _kinds(unreached([gone], [], NODE)) == ["missing"]


def test_an_object_store_is_written_and_read_from_everywhere(s3):
    url = "s3://bucket/runs/x"
    with open_paths([], [Writing("run folder", url)]) as paths:
        assert paths.findings == ()
        assert unreached([], paths.marks, NODE) == []
        assert not_seen(paths.marks, NODE) == []
    assert open_place(url).names() == []


def test_the_nearest_folder_that_is_there_stands_for_one_to_come(tmp_path: Path):
    assert standing(str(tmp_path / "a" / "b")) == str(tmp_path)
    assert standing("s3://bucket/a") == "s3://bucket/a"


def test_few_are_taken_evenly_with_both_ends():
    assert evenly([1, 2, 3], 16) == [1, 2, 3]
    chosen = evenly(range(1000), 16)
    assert (chosen[0], chosen[-1], len(set(chosen))) == (0, 999, 16)
