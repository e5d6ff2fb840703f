from __future__ import annotations

import errno
import json
import os

import pytest

from ray_compt.data import open_index
from ray_compt.data.merge import folder as merge_folder
from ray_compt.data.merge.files import Columns
from ray_compt.data.merge.folder import LOOKUP, MARK, merge_captions
from ray_compt.data.merge.lookup import build_lookup, open_lookup
from ray_compt.data.merge.shard import Joining, MergedShard
from ray_compt.errors import UserError
from tests.shards import make_shards, sample_key

COLUMNS = Columns("key", ("caption",))
BY_KEY = Joining("key")


@pytest.fixture
def captions(tmp_path):
    """Two captions for each sample of two shards of three, in an order that is not the shards'."""
    file = tmp_path / "captions.csv"
    rows = [
        f"{sample_key(shard, i)},{word} {shard} {i}" for word in "ab" for shard in (1, 0) for i in range(3)
    ]
    file.write_text("\n".join(["key,caption", *rows]))
    return file


@pytest.fixture
def shards(tmp_path):
    make_shards(tmp_path / "in", n=2, per_shard=3, captions=1)
    return str(tmp_path / "in")


def merge(shards, captions, out, **changes):
    settings = {"columns": COLUMNS, "joining": BY_KEY, **changes}
    return merge_captions(shards, [str(captions)], str(out), **settings)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_folder_holds_shards_that_train(tmp_path, shards, captions, data, cache):
    seen = []
    merged = merge(shards, captions, tmp_path / "out", on_progress=lambda *counts: seen.append(counts))
    assert (merged.shards, merged.done, merged.total) == (2, 0, MergedShard(6, 6, 12))
    assert seen == [(1, 2), (2, 2)]
    index = open_index(f"{tmp_path}/out/*.tar", data, cache)
    assert (index.samples, index.bad) == (6, [])
    [raw] = index.read(1, 2, 3)
    assert raw.captions[1:] == ["a 1 2", "b 1 2"]
    assert not (tmp_path / "out" / LOOKUP).exists()


def test_a_second_run_does_nothing_and_says_the_same(tmp_path, shards, captions):
    first = merge(shards, captions, tmp_path / "out")
    before = contents(tmp_path / "out")
    second = merge(shards, captions, tmp_path / "out")
    assert (second.done, second.total) == (2, first.total)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("number", [0, 1])
def test_a_broken_run_goes_on_and_ends_as_a_whole_one(tmp_path, shards, captions, monkeypatch, number):
    whole = merge(shards, captions, tmp_path / "whole")
    original, tried = merge_folder.merge_shard, []

    def killed(source, target, *rest):
        found = original(source, target, *rest)
        tried.append(source)
        if len(tried) > number:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(merge_folder, "merge_shard", killed)
    with pytest.raises(KeyboardInterrupt):
        merge(shards, captions, tmp_path / "out")
    # What SIGKILL would have left.
    (tmp_path / "out" / ".00001.tar.77.partial").write_bytes(b"half")
    assert len(list((tmp_path / "out").glob("*.tar"))) == number
    monkeypatch.setattr(merge_folder, "merge_shard", original)
    merged = merge(shards, captions, tmp_path / "out")
    assert (merged.done, merged.total) == (number, whole.total)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_shard_that_changed_is_made_anew(tmp_path, shards, captions):
    merge(shards, captions, tmp_path / "out")
    make_shards(tmp_path / "in", n=1, per_shard=2, captions=1)
    merged = merge(shards, captions, tmp_path / "out")
    assert (merged.done, merged.total.samples) == (1, 5)


@pytest.mark.parametrize(
    "changes", [{"columns": Columns("key", ("caption",), True)}, {"joining": Joining("key", "said")}]
)
def test_other_options_need_another_folder(tmp_path, shards, captions, changes):
    merge(shards, captions, tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(UserError, match="made from other captions"):
        merge(shards, captions, tmp_path / "out", **changes)
    captions.write_text(captions.read_text() + "\nx,y")
    with pytest.raises(UserError, match="made from other captions"):
        merge(shards, captions, tmp_path / "out")
    assert contents(tmp_path / "out") == before


def test_nothing_of_anybody_elses_is_touched(tmp_path, shards, captions):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "00000.tar").write_bytes(b"precious")
    with pytest.raises(UserError, match="something else here"):
        merge(shards, captions, tmp_path / "full")
    assert contents(tmp_path / "full") == {"00000.tar": b"precious"}
    before = contents(tmp_path / "in")
    with pytest.raises(UserError, match="own folder"):
        merge(shards, captions, shards)
    assert contents(tmp_path / "in") == before


def test_a_link_in_the_folder_leads_nowhere(tmp_path, shards, captions):
    (tmp_path / "elsewhere").write_bytes(b"precious")
    merge(shards, captions, tmp_path / "out")
    (tmp_path / "out" / "00000.tar").unlink()
    (tmp_path / "out" / "00000.tar").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "out" / "00000.tar.captions.json").unlink()
    merge(shards, captions, tmp_path / "out")
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"
    assert not (tmp_path / "out" / "00000.tar").is_symlink()


def test_a_full_disk_leaves_no_half_shard(tmp_path, shards, captions, monkeypatch):
    def full(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("tarfile.TarFile.addfile", full)
        with pytest.raises(UserError, match="No space left") as error:
            merge(shards, captions, tmp_path / "out")
    assert error.value.where == str(tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == [LOOKUP, ".lock", MARK]


def test_mistakes_are_named_before_anything_is_written(tmp_path, shards, captions):
    make_shards(tmp_path / "other", n=1)
    for given, out, says in (
        ([shards, str(tmp_path / "other")], "out", "two shards are called 00000.tar"),
        (shards, "s3://bucket/out", "written to a disk first"),
    ):
        with pytest.raises(UserError, match=says):
            merge(given, captions, tmp_path / out if "://" not in out else out)
    with pytest.raises(UserError, match="no caption file there"):
        merge(shards, tmp_path / "none.csv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_merge_at_a_time(tmp_path, shards, captions):
    def again(*_):
        with pytest.raises(UserError, match="another merge writes here"):
            merge(shards, captions, tmp_path / "out")

    assert merge(shards, captions, tmp_path / "out", on_progress=again).shards == 2


def test_a_lookup_is_whole_or_not_there(tmp_path):
    def broken():
        yield "1", ["a"]
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        build_lookup(tmp_path / "a.sqlite", broken())
    assert list(tmp_path.iterdir()) == []
    build_lookup(tmp_path / "a.sqlite", [("1", ["a", "b"]), ("2", ["c"]), ("1", ["b", "d"])])
    with open_lookup(tmp_path / "a.sqlite") as lookup:
        assert [lookup.find(name) for name in "123"] == [["a", "b", "d"], ["c"], []]


def test_the_mark_says_what_the_folder_is(tmp_path, shards, captions):
    merge(shards, captions, tmp_path / "out")
    mark = json.loads((tmp_path / "out" / MARK).read_text())
    assert mark["captions"][0][0] == str(captions)
    assert mark["columns"] == {"picture": "key", "captions": ["caption"], "sentences": False}
