from __future__ import annotations

import pytest
import torch

from ray_compt.data import evaluation_batches, make_preprocess, open_index
from tests.data.test_preprocess import MODEL
from tests.shards import captions_of, make_shards, sample_key


@pytest.fixture
def preprocess(data):
    return make_preprocess(data, MODEL, seed=0)


@pytest.mark.parametrize("batch", [1, 4, 5, 100])
def test_every_sample_comes_once_in_order(tmp_path, data, cache, preprocess, batch):
    make_shards(tmp_path, n=3, per_shard=3)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    batches = list(evaluation_batches(index, preprocess, batch))
    keys = [key for one in batches for key in one.keys]
    assert keys == [sample_key(shard, i) for shard in range(3) for i in range(3)]
    assert [len(one.keys) for one in batches[:-1]] == [batch] * (len(batches) - 1)
    assert [text for one in batches for text in one.captions] == [captions_of(key, 3) for key in keys]
    assert [label for one in batches for label in one.label] == ["cat", "dog", "cat"] * 3
    images = torch.cat([one.image for one in batches])
    assert (images.shape, images.dtype) == ((9, 3, 16, 16), torch.uint8)
    assert torch.equal(images[4], preprocess.evaluate(next(index.read(1, 1, 2))))


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_bad_ones_are_left_out_and_counted(tmp_path, data, cache, preprocess, batch):
    broken = {sample_key(0, i): "garbage" for i in (0, 3, 7)}
    make_shards(tmp_path, n=1, per_shard=8, broken=broken)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    batches = list(evaluation_batches(index, preprocess, batch))
    assert [key for one in batches for key in one.keys] == [sample_key(0, i) for i in (1, 2, 4, 5, 6)]
    assert [bad.key for one in batches for bad in one.bad] == list(broken)
    assert all(len(one.image) == len(one.keys) > 0 for one in batches)


def test_nothing_to_decode_yields_nothing(tmp_path, data, cache, preprocess):
    make_shards(tmp_path, n=1, per_shard=2, broken={sample_key(0, i): "garbage" for i in range(2)})
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert list(evaluation_batches(index, preprocess, 4)) == []
