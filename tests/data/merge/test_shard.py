from __future__ import annotations

import json
import tarfile

import pytest

from ray_compt.data import open_index
from ray_compt.data.merge.shard import Joining, MergedShard, merge_shard
from ray_compt.errors import UserError
from tests.shards import add_member, break_header, captions_of, make_shards, picture, sample_key

BY_KEY = Joining("key")


def members(path):
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def test_new_captions_follow_those_that_are_there(tmp_path, data, cache):
    [source] = make_shards(tmp_path / "in", n=1, per_shard=4, captions=2)
    key = sample_key(0, 1)
    [first, second] = captions_of(key, 2)
    found = {key: [second, "another one", "a third"]}
    merged = merge_shard(str(source), tmp_path / "out.tar", BY_KEY, lambda one: found.get(one, []))
    assert merged == MergedShard(samples=4, matched=1, captions=2)
    before, after = members(source), members(tmp_path / "out.tar")
    assert before.keys() == after.keys()
    assert [name for name in before if before[name] != after[name]] == [f"{key}.json"]
    description = json.loads(after[f"{key}.json"])
    assert description == json.loads(before[f"{key}.json"]) | {
        "captions": [first, second, "another one", "a third"]
    }
    index = open_index(str(tmp_path / "out.tar"), data, cache)
    [raw] = index.read(0, 1, 2)
    assert (raw.key, raw.captions) == (key, [first, second, "another one", "a third"])


def test_a_field_of_the_json_can_be_the_name(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for key, url in (("1", "http://a"), ("2", "http://b"), ("3", 4)):
            add_member(archive, f"{key}.png", picture(key))
            add_member(archive, f"{key}.json", json.dumps({"url": url}).encode())
    found = {"http://b": ["b"], "4": ["four"], "": ["never"]}
    joining = Joining("url", "said", drop=True)
    merged = merge_shard(str(tmp_path / "a.tar"), tmp_path / "b.tar", joining, lambda one: found.get(one, []))
    assert merged == MergedShard(samples=3, matched=2, captions=2)
    after = members(tmp_path / "b.tar")
    assert list(after) == ["2.png", "2.json", "3.png", "3.json"]
    assert json.loads(after["2.json"]) == {"url": "http://b", "said": ["b"]}


def test_a_sample_without_json_gets_one_behind_its_other_members(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("1.png", "2.png", "1.txt", "2.seg.json"):
            add_member(archive, name, name.encode())
        add_member(archive, ".hidden", b"of no sample")
    merge_shard(str(tmp_path / "a.tar"), tmp_path / "b.tar", BY_KEY, lambda key: [f"of {key}"])
    after = members(tmp_path / "b.tar")
    assert list(after) == ["1.png", "1.txt", "1.json", "2.png", "2.seg.json", "2.json"]
    assert after["2.seg.json"] == b"2.seg.json"
    assert json.loads(after["1.json"]) == {"captions": ["of 1"]}


def test_damage_is_counted_and_left_out(tmp_path):
    [source] = make_shards(tmp_path / "in", n=1, per_shard=3)
    break_header(source, f"{sample_key(0, 1)}.png")
    merged = merge_shard(str(source), tmp_path / "out.tar", BY_KEY, lambda key: [])
    assert merged == MergedShard(samples=3, damage=1)
    names = members(tmp_path / "out.tar")
    assert f"{sample_key(0, 1)}.png" not in names
    assert f"{sample_key(0, 2)}.webp" in names


def test_names_that_lead_elsewhere_are_only_keys(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add_member(archive, "../../evil.png", picture("a"))
        add_member(archive, "/abs/evil.txt", b"text")
    folder = tmp_path / "deep" / "out"
    folder.mkdir(parents=True)
    merge_shard(str(tmp_path / "a.tar"), folder / "a.tar", BY_KEY, lambda key: ["new"])
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["a.tar", "a.tar"]
    assert list(members(folder / "a.tar")) == [
        "../../evil.png",
        "../../evil.json",
        "/abs/evil.txt",
        "/abs/evil.json",
    ]


def test_text_that_no_encoding_takes_does_no_harm(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add_member(archive, "1.png", picture("a"))
        add_member(archive, "1.json", b'{"note": "\\ud800", "captions": ["\\ud800"]}')
    merge_shard(str(tmp_path / "a.tar"), tmp_path / "b.tar", BY_KEY, lambda key: ["new"])
    assert json.loads(members(tmp_path / "b.tar")["1.json"])["captions"] == ["?", "new"]


def test_a_compressed_shard_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        add_member(archive, "1.png", picture("a"))
    with pytest.raises(UserError, match="compressed with gzip"):
        merge_shard(str(tmp_path / "a.tar"), tmp_path / "b.tar", BY_KEY, lambda key: [])
