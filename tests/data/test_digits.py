from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from ray_compt.data import open_index
from ray_compt.data.digits import CLASS_NAMES
from ray_compt.errors import UserError


def read(index):
    return [raw for number, shard in enumerate(index.shards) for raw in index.read(number, 0, shard.samples)]


@pytest.fixture
def splits(data, cache):
    return {split: open_index(f"builtin:digits/{split}", data, cache) for split in ("train", "val")}


def test_the_splits_share_no_digit_and_keep_the_classes(splits):
    train, val = read(splits["train"]), read(splits["val"])
    keys = [raw.key for raw in train + val]
    assert len(keys) == len(set(keys)) == 1797
    assert 0.79 < len(train) / 1797 < 0.81
    for name in CLASS_NAMES:
        share = sum(raw.label == name for raw in val) / sum(raw.label == name for raw in train + val)
        assert 0.19 < share < 0.21


def test_eight_shards_of_mixed_classes(splits):
    index = splits["train"]
    assert len(index.shards) == 8
    assert index.samples == sum(index.sizes) == 1438
    assert index.class_names == list(CLASS_NAMES)
    assert len({raw.label for raw in index.read(0, 0, index.sizes[0])}) == 10


def test_pictures_labels_and_captions_belong_together(splits):
    digits = load_digits()
    for raw in read(splits["val"])[:50]:
        row = int(raw.key.split("-")[1])
        pixels = np.asarray(Image.open(io.BytesIO(raw.image)))
        assert np.array_equal(pixels, np.round(digits.images[row] * 255 / 16).astype(np.uint8))
        assert raw.label == CLASS_NAMES[digits.target[row]]
        assert raw.captions[0] == f"a scan of the digit {raw.label}"
        assert f"a handwritten {digits.target[row]}" in raw.captions
        assert len(set(raw.captions)) == len(raw.captions) > 3


def test_the_split_never_changes(splits):
    assert splits["train"].digest == "962ebba8ae1b3c08c0eb0fdd4dc4d91b"
    assert Counter(raw.label for raw in read(splits["val"]))["seven"] == 36


def test_the_bare_name_is_the_training_split(splits, data, cache):
    assert open_index("builtin:digits", data, cache) == splits["train"]
    assert open_index(["builtin:digits/val"], data, cache) == splits["val"]


@pytest.mark.parametrize("spec", ["builtin:digits/test", "builtin:cifar", "builtin:digitsx"])
def test_other_built_in_data_is_a_user_error(spec, data, cache):
    with pytest.raises(UserError, match="unknown built-in") as caught:
        open_index(spec, data, cache)
    assert "builtin:digits/train" in caught.value.mend
