"""A split becomes features: in order, each caption once, unreadable samples left out."""

from __future__ import annotations

import open_clip
import pytest
import torch
from PIL import Image

from ray_compt.errors import UserError
from ray_compt.evaluate import embed_split
from ray_compt.models import make_tokenizer

SAMPLES = (
    (["a red one", "rot"], "red", "red"),
    (["a blue one"], "blue", "blue"),
    (["lost"], "broken", "red"),
    (["a red one", "a green one", "a red one"], "red", None),
)


def _embed(eye, index, preprocess, config, **options):
    model = eye().eval()
    return model, embed_split(model, index, preprocess, make_tokenizer(config), batch=2, **options)


def test_each_distinct_first_caption_is_embedded_once(eye, colours, preprocess, config):
    model, split = _embed(eye, colours(*SAMPLES), preprocess, config)
    assert split.pairs.tolist() == [[0, 0], [1, 1], [2, 0]]
    assert torch.equal(split.texts, torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]))
    assert torch.equal(split.images, torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [1.0, 0, 0]]))
    assert split.labels == ["red", "blue", None]
    assert [len(images) for images in model.seen] == [2, 1]
    assert not split.images.requires_grad


def test_the_model_sees_what_open_clips_transform_gives(eye, colours, preprocess, config):
    model, _ = _embed(eye, colours(*SAMPLES), preprocess, config)
    transform = open_clip.image_transform(8, is_train=False, mean=preprocess.mean, std=preprocess.std)
    expected = [transform(Image.new("RGB", (8, 8), colour)) for colour in ("#f00", "#00f", "#f00")]
    torch.testing.assert_close(torch.cat(model.seen), torch.stack(expected), atol=0, rtol=0)


def test_several_captions_a_picture(eye, colours, preprocess, config):
    _, split = _embed(eye, colours(*SAMPLES), preprocess, config, captions_per_image=3)
    assert split.pairs.tolist() == [[0, 0], [0, 1], [1, 2], [2, 0], [2, 3]]
    assert len(split.texts) == 4


def test_a_split_without_a_readable_picture_is_refused(eye, colours, preprocess, config):
    with pytest.raises(UserError, match="none of the 1 samples to evaluate on can be decoded"):
        _embed(eye, colours((["a red one"], "broken", None)), preprocess, config)
