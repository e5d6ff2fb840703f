"""Shards in a real S3: found, walked in few requests, and read in spite of errors, cut and slow replies."""

from __future__ import annotations

import pytest

from ray_compt.data import filesystem, open_index
from ray_compt.data.filesystem import locate
from ray_compt.data.index import Index
from ray_compt.data.order import Order
from ray_compt.data.patterns import find_shards
from ray_compt.data.windows import Row, read_window, window_reads
from ray_compt.errors import UserError
from tests.s3 import S3, always, every, keys, upload
from tests.shards import make_shards, sample_key


@pytest.fixture
def shards(s3: S3, tmp_path):
    make_shards(tmp_path / "shards", n=2, per_shard=16)
    upload(s3, tmp_path / "shards", "data")
    return s3


def _rows(index: Index) -> list[Row]:
    order = Order(0, index.sizes, 8, 2, 4)
    reads = window_reads(index, order, rank=0, world=1, first_step=0, last_step=order.batches_per_epoch)
    return [row for read in reads for row in read_window(index.source, read)]


@pytest.mark.parametrize(
    "pattern", ["s3://bucket/data/{00000..00001}.tar", "s3://bucket/data/*.tar", "s3://bucket/data"]
)
def test_shards_are_found_and_read(shards, data, cache, pattern):
    index = open_index(pattern, data, cache)
    assert [shard.path for shard in index.shards] == [f"s3://bucket/data/0000{i}.tar" for i in range(2)]
    assert index.bad == []
    assert [raw.key for raw in index.read(1, 1, 3)] == [sample_key(1, 1), sample_key(1, 2)]


def test_missing_shards_are_named(shards, data, cache):
    with pytest.raises(UserError, match="missing"):
        open_index("s3://bucket/data/{00001..00002}.tar", data, cache)


def test_the_index_is_kept_in_the_store(shards, data, tmp_path):
    first = open_index("s3://bucket/data", data, "s3://bucket/run/index")
    endings = sorted(key.rpartition(".")[2] for key in keys(shards, "run/index"))
    assert endings == ["arrow", "arrow", "summary"]
    denied = (".tar", ".arrow")
    shards.plan = lambda number, method, path: (
        "denied" if method == "GET" and any(ending in path for ending in denied) else None
    )
    again = open_index("s3://bucket/data", data, "s3://bucket/run/index")
    assert again.digest == first.digest == open_index(str(tmp_path / "shards"), data, tmp_path / "c").digest


def test_a_walk_takes_few_requests(shards, data, cache):
    asked = []
    shards.plan = lambda number, method, path: asked.append(path)
    open_index("s3://bucket/data/00000.tar", data, cache)
    assert len([path for path in asked if path.endswith("00000.tar")]) < 10


def test_many_shards_are_looked_up_by_listing_their_folder(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(filesystem, "WORTH_LISTING", 40)
    make_shards(tmp_path / "shards", n=41, per_shard=0)
    upload(s3, tmp_path / "shards", "data")
    one_by_one = [locate(f"s3://bucket/data/{n:05d}.tar") for n in range(40)]
    before = s3.requests
    assert find_shards("s3://bucket/data/{00000..00039}.tar") == one_by_one
    assert s3.requests - before < 10
    with pytest.raises(UserError, match="2 of the 43 shards of .* are missing: .*00041.tar, .*00042.tar"):
        find_shards("s3://bucket/data/{00000..00042}.tar")
    with pytest.raises(UserError, match="none of the 43 shards"):
        find_shards("s3://bucket/nothing/{00000..00042}.tar")


@pytest.mark.usefixtures("impatient")
def test_a_flaky_store_costs_no_sample(shards, data, cache):
    index = open_index("s3://bucket/data", data, cache)
    quiet = _rows(index)
    shards.plan = every(3, "error", "cut", "slow", "stall")
    for _ in range(4):
        assert [(row.raw.key, row.raw.image, row.error) for row in _rows(index)] == [
            (row.raw.key, row.raw.image, "") for row in quiet
        ]
    assert all(shards.done[fault] for fault in ("error", "cut", "slow", "stall"))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("fault", ["error", "cut", "stall", "drip", "denied"])
def test_a_shard_that_stays_out_of_reach_costs_its_own_samples(shards, data, cache, fault):
    index = open_index("s3://bucket/data", data, cache)
    next(index.read(0, 0, 1)), next(index.read(1, 0, 1))
    shards.plan = always(fault, path="00001.tar")
    rows = _rows(index)
    assert len(rows) == 32
    assert {row.shard for row in rows if row.error} == {"s3://bucket/data/00001.tar"}
    assert sum(bool(row.error) for row in rows) == 16
