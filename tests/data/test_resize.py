"""The faster, not quite equal ways to decode and resize."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image

from ray_compt.config.schema import AugmentConfig, DataConfig
from ray_compt.data import RawSample, make_preprocess
from ray_compt.data.pictures import decode_picture
from tests.data.test_preprocess import JITTER, MODEL, PLAIN


def smooth(width: int, height: int, kind: str = "JPEG") -> RawSample:
    """A picture without sharp edges, at which every filter rings in its own way."""
    pixels = np.random.default_rng(width * height).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    picture = Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC)
    picture.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return RawSample("a", buffer.getvalue(), ["c"])


def trained(raw: RawSample, augment: AugmentConfig = PLAIN, epoch: int = 0, **keys) -> torch.Tensor:
    data = DataConfig(train="unused", image_size=24, augment=augment, **keys)
    return make_preprocess(data, MODEL, seed=0).train(raw, epoch)[0]


@pytest.mark.parametrize("size", [(60, 40), (31, 90), (24, 24), (10, 12)], ids=str)
@pytest.mark.parametrize("epoch", range(3))
def test_torch_resizes_the_same_crop_to_nearly_the_same_values(size: tuple[int, int], epoch: int):
    raw = smooth(*size, "PNG")
    wide = AugmentConfig(scale=(0.3, 1.0))

    theirs, ours = trained(raw, wide, epoch), trained(raw, wide, epoch, resize="torch")

    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    assert (ours.int() - theirs.int()).abs().max() <= 2


def test_colours_change_after_torch_s_crop_as_after_pillow_s():
    raw = smooth(60, 40, "PNG")
    found = [trained(raw, JITTER, 1, resize=resize).float() for resize in ("pillow", "torch")]
    plain = trained(raw, AugmentConfig(scale=JITTER.scale), 1).float()

    assert (found[0] - found[1]).abs().mean() < 2
    assert (found[0] - plain).abs().mean() > 10


def test_global_generators_are_left_as_found_by_torch_s_crop():
    torch.manual_seed(0)
    random.seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    trained(smooth(60, 40), resize="torch")
    assert torch.equal(torch.rand(3), expected)


def test_a_large_jpeg_is_drafted_to_no_less_than_a_crop_needs():
    raw = smooth(400, 300)

    assert decode_picture(raw.image, 100).size == (200, 150)
    assert decode_picture(raw.image, 37).size == (50, 38)
    assert decode_picture(raw.image, 151).size == (400, 300)
    assert decode_picture(smooth(400, 300, "PNG").image, 100).size == (400, 300)


def test_drafting_changes_large_jpegs_little_and_others_not_at_all():
    whole = AugmentConfig(scale=(1.0, 1.0), ratio=(1.0, 1.0))
    large, small, other = smooth(240, 240), smooth(47, 47), smooth(240, 240, "PNG")

    assert torch.equal(trained(small, whole), trained(small, whole, jpeg_draft=True))
    assert torch.equal(trained(other, whole), trained(other, whole, jpeg_draft=True))
    difference = (trained(large, whole).int() - trained(large, whole, jpeg_draft=True).int()).abs()
    assert 0 < difference.max() <= 12
    assert difference.float().mean() < 2


def test_no_crop_of_a_drafted_picture_has_to_be_enlarged():
    """scale 0.25: the smallest crop has half the side, so a picture of 100 may not be halved for 24 x 24."""
    quarter = AugmentConfig(scale=(0.25, 1.0), ratio=(1.0, 1.0))

    assert torch.equal(trained(smooth(95, 95), quarter), trained(smooth(95, 95), quarter, jpeg_draft=True))
    assert not torch.equal(
        trained(smooth(96, 96), quarter), trained(smooth(96, 96), quarter, jpeg_draft=True)
    )
