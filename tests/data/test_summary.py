"""An index of a million samples in a hundred shards: opened from tables, from their summary, and with either harmed."""

from __future__ import annotations

import pickle
import shutil
import tracemalloc
from pathlib import Path

import pytest

from ray_compt.data import open_index, scan
from ray_compt.data.samples import BadSample
from ray_compt.data.shard_table import ShardSummary
from ray_compt.data.summary import NAMED_BAD_PER_SHARD, shard_facts
from tests.big_index import empty_shards, fabricate_tables

SHARDS, PER_SHARD = 100, 10_000
# Of this data, as the version gave it that read every table at each start.
DIGEST = "f7e0a49eeb172c48e3264f3f50ca5f3b"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("big")
    fabricate_tables(empty_shards(folder / "shards", SHARDS), PER_SHARD, folder / "cache")
    return folder


@pytest.fixture
def big(made, tmp_path, monkeypatch):
    """Copies of the cache beside the shards, which are as they were; nothing may walk them."""
    shutil.copytree(made / "cache", tmp_path / "cache")
    monkeypatch.setattr(scan, "index_shard", _never)
    return made / "shards", tmp_path / "cache"


def _never(*_, **__):
    raise AssertionError("walked again")


def _summary(cache: Path) -> Path:
    [file] = cache.glob("*.summary")
    return file


def test_a_million_samples_are_the_same_index_from_tables_and_from_the_summary(big, data):
    shards, cache = big
    first = open_index(str(shards), data, cache)
    assert first.digest == DIGEST
    assert (len(first.shards), first.samples) == (SHARDS, SHARDS * PER_SHARD)
    assert [one.shard for one in first.bad] == [str(shards / f"{n:06d}.tar") for n in range(0, SHARDS, 3)]
    assert first.class_names == [f"class {n}" for n in range(7)]
    for table in cache.glob("*.arrow"):
        table.unlink()
    assert open_index(str(shards), data, cache) == first
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 (our own)


def test_opening_from_the_summary_keeps_nothing_per_sample(big, data):
    shards, cache = big
    open_index(str(shards), data, cache)
    tracemalloc.start()
    index = open_index(str(shards), data, cache)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A byte for each sample would be a million.
    assert peak < index.samples
    assert len(pickle.dumps(index)) < 300 * SHARDS


@pytest.mark.parametrize("harm", ["cut", "flipped", "noise", "empty", "other format"])
def test_a_harmed_summary_is_made_anew_from_the_tables(big, data, harm):
    shards, cache = big
    index = open_index(str(shards), data, cache)
    file = _summary(cache)
    content = file.read_bytes()
    flipped = content[:1000] + bytes([content[1000] ^ 1]) + content[1001:]
    harmed = {
        "cut": content[:200],
        "flipped": flipped,
        "noise": b"x" * 500,
        "empty": b"",
        "other format": b"[]",
    }
    file.write_bytes(harmed[harm])
    assert open_index(str(shards), data, cache) == index
    assert _summary(cache).read_bytes() == content


def test_a_new_shard_is_looked_up_alone(big, made, data, monkeypatch):
    _, cache = big
    some = [str(made / "shards" / f"{n:06d}.tar") for n in range(3)]
    open_index(some, data, cache)
    _summary(cache).rename(cache / "kept")
    open_index([*some, str(made / "shards" / "000003.tar")], data, cache)
    (cache / "kept").rename(_summary(cache))
    asked = []
    load = scan.load_table_summary
    monkeypatch.setattr(
        scan, "load_table_summary", lambda cache, name: asked.append(name) or load(cache, name)
    )
    index = open_index([*some, str(made / "shards" / "000003.tar")], data, cache)
    assert len(asked) == 1
    assert index.samples == 4 * PER_SHARD
    assert index.class_names == [f"class {n}" for n in range(4)]


def test_a_class_that_went_with_its_shard_is_gone(made, data, cache):
    folder = cache.parent / "shards"
    paths = empty_shards(folder, 3)
    fabricate_tables(paths, 5, cache)
    assert open_index(str(folder), data, cache).class_names == ["class 0", "class 1", "class 2"]
    paths[1].unlink()
    after = open_index(str(folder), data, cache)
    assert (after.class_names, after.sizes) == (["class 0", "class 2"], (5, 5))


def test_facts_of_a_shard_do_not_grow_with_its_bad_samples():
    bad = tuple(BadSample(f"{n}", "a.tar", "no caption" if n % 2 else "no picture") for n in range(10_001))
    facts = shard_facts(ShardSummary(0, "", bad, bad))
    assert facts.bad[:NAMED_BAD_PER_SHARD] == bad[:NAMED_BAD_PER_SHARD]
    assert len(facts.bad) == len(facts.damage) == NAMED_BAD_PER_SHARD + 2
    assert sum(one.count for one in facts.bad) == 10_001


def test_many_bad_shards_are_named_by_one_entry_each(data, cache, monkeypatch):
    monkeypatch.setattr(scan, "NAMED_BAD", 12)
    reasons = ("no picture", "empty picture (damaged)", "empty picture (damaged)", "no caption", "no caption")

    def walk(path, fields):
        table = real(path, fields)
        bad = tuple(BadSample(f"{n}", path, reason) for n, reason in enumerate(reasons))
        return type(table)(table.rows, ShardSummary(1, "d", bad))

    real = scan.index_shard
    monkeypatch.setattr(scan, "index_shard", walk)
    folder = cache.parent / "shards"
    empty_shards(folder, 6)
    index = open_index(str(folder), data, cache)
    assert len(index.bad) == 2 * len(reasons) + 4
    assert index.bad_samples == 6 * len(reasons)
    assert index.bad[-1] == BadSample("", str(folder / "000005.tar"), index.bad[-1].reason, len(reasons))
    assert "5 samples cannot be used, most often: empty picture" in index.bad[-1].reason
