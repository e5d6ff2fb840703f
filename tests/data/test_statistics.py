from __future__ import annotations

import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.data import open_index
from ray_compt.data.statistics import data_statistics, spread_of
from tests.shards import captions_of, make_shards, sample_key


def words(texts):
    return [len(text.split()) for text in texts]


@given(st.lists(st.integers(-1000, 1000), min_size=1))
def test_a_spread_is_that_of_the_numbers_in_a_row(numbers):
    found = spread_of(Counter(numbers))
    ordered = sorted(numbers)
    assert (found.least, found.most) == (ordered[0], ordered[-1])
    assert found.mean == pytest.approx(statistics.fmean(numbers))
    for quantile, share in ((found.low, 0.05), (found.median, 0.5), (found.high, 0.95)):
        assert sum(number <= quantile for number in numbers) >= share * len(numbers)
        assert sum(number < quantile for number in numbers) < max(share * len(numbers), 1)


def test_nothing_has_no_spread():
    assert spread_of(Counter()) is None


def test_what_shards_are_like(tmp_path, data, cache):
    broken = {sample_key(0, 0): "no_picture", sample_key(1, 1): "garbage", sample_key(1, 2): "cut"}
    paths = make_shards(tmp_path, n=2, per_shard=6, size=24, captions=2, broken=broken)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    seen = []
    found = data_statistics(index, words, 4, on_progress=lambda *counts: seen.append(counts))
    assert (found.shards, found.samples, found.looked_at) == (2, 11, 11)
    assert (found.unindexed, found.undecodable) == (1, 2)
    assert (found.width.least, found.width.most, found.height.median) == (24, 24, 24)
    assert (found.captions.least, found.captions.most) == (2, 2)
    assert (found.tokens.least, found.tokens.most) == (5, 5)
    assert len(captions_of("k", 1)[0].split()) == 5
    assert (found.context, found.cut) == (4, 1.0)
    assert found.mb_per_sample == pytest.approx(sum(path.stat().st_size for path in paths) / 1e6 / 11)
    assert found.reasons["no picture"] == 1
    assert sum(found.reasons.values()) == 3
    assert seen[-1] == (11, 11)


def test_a_part_of_the_samples_is_spread_over_all_shards(tmp_path, data, cache):
    make_shards(tmp_path, n=4, per_shard=8)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert data_statistics(index, words, 77, samples=4).looked_at == 4
    assert data_statistics(index, words, 77, samples=400).looked_at == 32


def test_data_that_are_no_shards_have_no_size(data, cache):
    index = open_index("builtin:digits/val", data, cache)
    found = data_statistics(index, words, 77, samples=16)
    assert found.mb_per_sample is None
    assert (found.looked_at, found.cut) == (16, 0.0)
