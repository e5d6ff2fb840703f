from __future__ import annotations

import fsspec
import pytest

from ray_compt.data import patterns
from ray_compt.data.patterns import expand_braces, find_shards
from ray_compt.errors import UserError


@pytest.mark.parametrize(
    "pattern,expected",
    [
        ("a.tar", ["a.tar"]),
        ("a{00008..00011}.tar", ["a00008.tar", "a00009.tar", "a00010.tar", "a00011.tar"]),
        ("{8..11}", ["8", "9", "10", "11"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{01..07..3}", ["01", "04", "07"]),
        ("{a,b}/{1..2}", ["a/1", "a/2", "b/1", "b/2"]),
        ("x{a,b{1..2}}y", ["xay", "xb1y", "xb2y"]),
        ("{,x}y", ["y", "xy"]),
        ("{a}{", ["{a}{"]),
        ("{a}{1..2}", ["{a}1", "{a}2"]),
    ],
)
def test_braces_expand_as_in_bash(pattern, expected):
    assert expand_braces(pattern) == expected


def test_endless_braces_are_refused_and_not_expanded(monkeypatch):
    monkeypatch.setattr(patterns, "MAX_EXPANSION", 1000)
    with pytest.raises(UserError, match="more than 1,000 "):
        expand_braces("{0..999999999999}")


@pytest.fixture
def folder(tmp_path):
    for name in ("00000.tar", "00001.tar", "00002.tar", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(locations):
    return [location.url.rsplit("/", 1)[1] for location in locations]


@pytest.mark.parametrize(
    "pattern", ["{00000..00002}.tar", "*.tar", "0000?.tar", "", "{00000,00001}.tar", "0000{0,1,2}.t*"]
)
def test_every_way_of_writing_finds_the_shards_in_order(folder, pattern):
    found = names(find_shards(f"{folder}/{pattern}"))
    assert found == (
        ["00000.tar", "00001.tar"]
        if "," in pattern and "*" not in pattern
        else ["00000.tar", "00001.tar", "00002.tar"]
    )


def test_a_list_keeps_its_order_and_loses_doubles(folder):
    found = find_shards([f"{folder}/00002.tar", f"{folder}/*.tar"])
    assert names(found) == ["00002.tar", "00000.tar", "00001.tar"]


def test_relative_paths_become_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_shards("*.tar")[0].url == f"{folder}/00000.tar"


def test_shards_are_found_on_any_fsspec_file_system():
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/00000.tar", b"abc")
    memory.pipe_file("/bucket/00001.tar", b"abc")
    for pattern in ("memory://bucket/{00000..00001}.tar", "memory://bucket/*.tar"):
        found = find_shards(pattern)
        assert [location.url for location in found] == [
            "memory://bucket/00000.tar",
            "memory://bucket/00001.tar",
        ]
        assert found[0].size == 3


def test_missing_members_of_a_brace_pattern_are_named(folder):
    with pytest.raises(UserError) as caught:
        find_shards(f"{folder}/{{00001..00007}}.tar")
    assert "5 of the 7" in caught.value.message
    assert "00003.tar" in caught.value.message
    assert "2 more" in caught.value.message
    assert caught.value.mend


@pytest.mark.parametrize("pattern", ["none.tar", "*.zip", "{5..9}.tar", "none/{5..9}.tar"])
def test_a_pattern_that_finds_nothing_is_named(folder, pattern):
    with pytest.raises(UserError) as caught:
        find_shards(f"{folder}/{pattern}")
    assert pattern in caught.value.message
    assert caught.value.mend


def test_an_empty_folder_and_an_empty_list_find_nothing(tmp_path):
    for spec in (str(tmp_path), []):
        with pytest.raises(UserError, match="no shard"):
            find_shards(spec)


def test_an_unknown_protocol_is_a_user_error():
    with pytest.raises(UserError, match="nowhere"):
        find_shards("nowhere://bucket/x.tar")


def test_the_stamp_changes_with_the_file(folder):
    before = find_shards(f"{folder}/00000.tar")[0].stamp
    (folder / "00000.tar").write_bytes(b"longer")
    assert find_shards(f"{folder}/00000.tar")[0].stamp != before
