from __future__ import annotations

import shutil

import pytest

from ray_compt.data import open_index
from ray_compt.data.listing import load_listing, save_listing
from ray_compt.data.samples import Shard
from ray_compt.errors import UserError
from tests.shards import make_shards, sample_key


@pytest.fixture
def shards(tmp_path):
    """Two shards that can be used and an empty one between them."""
    make_shards(tmp_path / "shards", n=3, per_shard=(5, 0, 4), broken={sample_key(0, 1): "no_caption"})
    return tmp_path / "shards"


@pytest.fixture
def index(shards, data, cache):
    found = open_index(str(shards), data, cache)
    save_listing(found, str(cache))
    return found


def test_the_order_and_the_keys_are_known_without_the_shards(index, shards, data, cache):
    shutil.rmtree(shards)
    found = load_listing(str(shards), data, str(cache), index.digest)
    assert (found.shards, found.sizes, found.digest) == (index.shards, (4, 4), index.digest)
    first, second = (found.source.keys(shard) for shard in found.shards)
    assert first == [sample_key(0, i) for i in (0, 2, 3, 4)]
    assert second == [sample_key(2, i) for i in range(4)]


def test_keys_are_those_that_reading_gives(index):
    for number, shard in enumerate(index.shards):
        read = [raw.key for raw in index.read(number, 0, shard.samples)]
        assert index.source.keys(shard) == read


def test_a_lost_table_is_made_anew_from_the_shard_without_being_kept(index, cache):
    tables = list(cache.glob("*.arrow"))
    for table in tables:
        table.unlink()
    assert index.source.keys(index.shards[0]) == [sample_key(0, i) for i in (0, 2, 3, 4)]
    assert tables and not list(cache.glob("*.arrow"))


@pytest.mark.parametrize("change", ["gone", "another"])
def test_without_its_table_a_changed_shard_tells_no_keys(index, cache, change):
    for table in cache.glob("*.arrow"):
        table.unlink()
    shard = index.shards[0]
    if change == "another":
        shard = Shard(shard.path, shard.samples, "1:another")
    else:
        shutil.rmtree(shard.path.rpartition("/")[0])
    with pytest.raises(UserError, match="gone or has changed"):
        index.source.keys(shard)


def test_digits_know_their_keys(data, cache):
    index = open_index("builtin:digits/train", data, cache)
    save_listing(index, str(cache))
    found = load_listing("builtin:digits/train", data, str(cache), index.digest)
    assert found.shards == index.shards
    assert found.source.keys(found.shards[2]) == [raw.key for raw in index.read(2, 0, index.sizes[2])]


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"format": 2, "shards": []}', '{"format": 1, "shards": [1]}']
)
def test_a_list_that_cannot_be_read_is_one_message(index, data, cache, content):
    [file] = cache.glob("train-*.json")
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(UserError, match="list of training shards cannot be read"):
        load_listing("unused", data, str(cache), index.digest)
