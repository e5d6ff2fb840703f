"""Corruptions: a function of picture and key, worse with severity, of the shape and range of pictures."""

from __future__ import annotations

import colorsys
import pickle

import pytest
import torch

from ray_compt.config.suite_keys import CORRUPTIONS
from ray_compt.evaluate.corruptions import Corruption, brightness


@pytest.fixture(params=[8, 32, 96])
def picture(request) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rough = torch.rand(1, 3, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(rough, (request.param,) * 2, mode="bilinear")
    return (60 + 120 * smooth[0]).round().to(torch.uint8)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_more_severe_is_further_from_the_picture(picture, name):
    changed = [Corruption(name, severity, 0)(picture, "a") for severity in range(1, 6)]
    assert all(one.shape == picture.shape and one.dtype == torch.uint8 for one in changed)
    distance = [(one.float() - picture.float()).abs().mean().item() for one in changed]
    assert 0 < distance[0] < distance[-1]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_same_picture_under_the_same_key_is_changed_in_the_same_way(picture, name):
    change = Corruption(name, 3, 0)
    state = torch.random.get_rng_state()
    first = change(picture, "a")
    assert torch.equal(first, pickle.loads(pickle.dumps(change))(picture, "a"))  # noqa: S301
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(first, change(picture, "b")) == (name != "gaussian_noise")
    assert torch.equal(first, Corruption(name, 3, 1)(picture, "a")) == (name != "gaussian_noise")


def test_noise_has_the_deviation_that_it_says():
    grey = torch.full((3, 64, 64), 128, dtype=torch.uint8)
    noisy = Corruption("gaussian_noise", 5, 0)(grey, "a")
    assert (noisy.float() / 255).std().item() == pytest.approx(0.10, rel=0.03)


@pytest.mark.parametrize("colour", [(200, 100, 50), (0, 0, 0), (10, 250, 250), (255, 255, 255)])
def test_brightness_raises_the_value_alone(colour):
    pixel = torch.tensor(colour, dtype=torch.uint8).view(3, 1, 1)
    found = brightness(pixel, 0.2, 0).flatten().tolist()
    hue, saturation, value = colorsys.rgb_to_hsv(*(channel / 255 for channel in colour))
    expected = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value + 0.2))
    assert found == pytest.approx([255 * channel for channel in expected], abs=1)
