from __future__ import annotations

import pytest
import torch

from ray_compt.data import decode_window, evaluation_windows, make_preprocess, open_index
from tests.data.test_preprocess import MODEL
from tests.shards import captions_of, make_shards, sample_key


@pytest.fixture
def preprocess(data):
    return make_preprocess(data, MODEL, seed=0)


def _batches(index, preprocess, samples, change=None):
    return [decode_window(index, preprocess, window, change) for window in evaluation_windows(index, samples)]


@pytest.mark.parametrize("samples", [1, 4, 5, 100])
def test_every_sample_comes_once_in_order(tmp_path, data, cache, preprocess, samples):
    make_shards(tmp_path, n=3, per_shard=3)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    batches = _batches(index, preprocess, samples)
    keys = [key for one in batches for key in one.keys]
    assert keys == [sample_key(shard, i) for shard in range(3) for i in range(3)]
    assert [len(one.keys) for one in batches[:-1]] == [samples] * (len(batches) - 1)
    assert [text for one in batches for text in one.captions] == [captions_of(key, 3) for key in keys]
    assert [label for one in batches for label in one.label] == ["cat", "dog", "cat"] * 3
    images = torch.cat([one.image for one in batches])
    assert (images.shape, images.dtype) == ((9, 3, 16, 16), torch.uint8)
    assert torch.equal(images[4], preprocess.evaluate(next(index.read(1, 1, 2))))


@pytest.mark.parametrize("samples", [1, 2, 3, 100])
def test_bad_ones_are_left_out_and_listed(tmp_path, data, cache, preprocess, samples):
    broken = {sample_key(0, i): "garbage" for i in (0, 3, 7)}
    make_shards(tmp_path, n=1, per_shard=8, broken=broken)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    batches = _batches(index, preprocess, samples)
    assert [key for one in batches for key in one.keys] == [sample_key(0, i) for i in (1, 2, 4, 5, 6)]
    assert [bad.key for one in batches for bad in one.bad] == list(broken)
    assert all(one.image.shape == (len(one.keys), 3, 16, 16) for one in batches)


def test_pictures_are_changed_by_their_key(tmp_path, data, cache, preprocess):
    make_shards(tmp_path, n=1, per_shard=3)
    index = open_index(f"{tmp_path}/*.tar", data, cache)

    def change(picture, key):
        return torch.full_like(picture, int(key[-1]))

    (batch,) = _batches(index, preprocess, 5, change)
    assert batch.image.flatten(1).amax(dim=1).tolist() == [0, 1, 2]
    assert batch.image.flatten(1).amin(dim=1).tolist() == [0, 1, 2]
