"""The tests' real pictures, where they lie beside the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ray_compt.data import decode_window, evaluation_windows, make_preprocess, open_index
from tests.data.test_preprocess import MODEL

EMOJI = Path(__file__).parents[2] / ".." / "shared" / "data" / "emoji"

pytestmark = pytest.mark.skipif(not EMOJI.is_dir(), reason="the emoji shards are not beside the repository")


def test_every_pair_is_indexed(data, cache):
    index = open_index(str(EMOJI / "train" / "{00000..00012}.tar"), data, cache)
    sizes = json.loads((EMOJI / "train" / "sizes.json").read_text())
    assert {Path(shard.path).name: shard.samples for shard in index.shards} == sizes
    assert index.bad == []
    assert {"flags", "food and drink", "component"} <= set(index.class_names)
    raw = next(index.read(0, 2, 3))
    assert raw.captions[0] == "woman singer: medium skin tone"
    assert len(raw.captions) == 6


def test_every_picture_can_be_decoded(data, cache):
    index = open_index(str(EMOJI / "val" / "*.tar"), data, cache)
    preprocess = make_preprocess(data, MODEL, seed=0)
    batches = [decode_window(index, preprocess, window) for window in evaluation_windows(index, 64)]
    assert sum(len(batch.keys) for batch in batches) == index.samples == 640
    assert torch.stack([batch.image.float().std() for batch in batches]).min() > 1
