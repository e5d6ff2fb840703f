"""A split becomes features: in order, unreadable samples left out, at a batch that fits into memory."""

from __future__ import annotations

import open_clip
import pytest
import torch
from PIL import Image
from torch import nn

from ray_compt.data import Preprocess
from ray_compt.errors import UserError
from ray_compt.evaluate import Embedder, Here
from ray_compt.evaluate.corruptions import Corruption
from ray_compt.evaluate.embed import Split, View, ahead
from ray_compt.evaluate.embedder import check_context
from ray_compt.models import build_model, make_tokenizer

SAMPLES = (
    (["a red one", "rot"], "red", "red"),
    (["a blue one"], "blue", "blue"),
    (["lost"], "broken", "red"),
    (["a red one", "a green one"], "red", None),
)
RED, BLUE = [1.0, 0, 0], [0, 0, 1.0]


def _here(model: nn.Module, preprocess: Preprocess, batch: int = 2) -> Here:
    return Here(Embedder(model, preprocess.mean, preprocess.std, batch=batch), preprocess)


def _view(index, corruption=None, samples=None):
    return View(Split("colours", ("captions", "category"), samples, index), corruption)


def test_pictures_come_in_order_without_the_unreadable_one(eye, colours, preprocess):
    model, view, counted = eye().eval(), _view(colours(*SAMPLES)), []
    found = _here(model, preprocess).pictures([view], counted.append)[view]
    assert torch.equal(found.features, torch.tensor([RED, BLUE, RED]))
    assert found.captions == [["a red one", "rot"], ["a blue one"], ["a red one", "a green one"]]
    assert (found.labels, found.unreadable) == (["red", "blue", None], 1)
    assert sum(counted) == 4
    assert [len(images) for images in model.seen] == [2, 1]
    assert not found.features.requires_grad


def test_the_model_sees_what_open_clips_transform_gives(eye, colours, preprocess):
    model, view = eye().eval(), _view(colours(*SAMPLES))
    _here(model, preprocess).pictures([view])
    transform = open_clip.image_transform(8, is_train=False, mean=preprocess.mean, std=preprocess.std)
    expected = [transform(Image.new("RGB", (8, 8), colour)) for colour in ("#f00", "#00f", "#f00")]
    torch.testing.assert_close(torch.cat(model.seen), torch.stack(expected), atol=0, rtol=0)


def test_a_corrupted_view_is_another_view_of_the_same_pictures(eye, colours, preprocess):
    model, index = eye().eval(), colours(*SAMPLES)
    clean, noisy = _view(index), _view(index, Corruption("gaussian_noise", 5, 0))
    found = _here(model, preprocess, batch=4).pictures([clean, noisy])
    assert found[clean].labels == found[noisy].labels
    assert not torch.equal(model.seen[0], model.seen[1])
    assert (model.seen[0] - model.seen[1]).abs().mean() < 1


def test_a_split_without_a_readable_picture_is_refused(eye, colours, preprocess):
    view = _view(colours((["a red one"], "broken", None)))
    with pytest.raises(UserError, match="none of the 1 samples to evaluate on can be decoded"):
        _here(eye().eval(), preprocess).pictures([view])


class _Small(nn.Module):
    """Has memory for so many rows at a time."""

    def __init__(self, room: int):
        super().__init__()
        self.room, self.asked = room, []

    def encode_image(self, images: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        self.asked.append(len(images))
        if len(images) > self.room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return images.flatten(1)[:, :3]


def test_the_batch_is_halved_until_it_fits_and_nothing_is_lost():
    model = _Small(room=3)
    embedder = Embedder(model, (0.0,) * 3, (1.0,) * 3, batch=16)
    pictures = torch.randint(0, 256, (20, 3, 4, 4), dtype=torch.uint8)
    features = embedder.pictures(pictures)
    torch.testing.assert_close(features, pictures.flatten(1)[:, :3] / 255)
    assert model.asked == [16, 8, 4, *[2] * 10]
    assert embedder.batch == 2


def test_where_not_one_picture_fits_it_is_said():
    embedder = Embedder(_Small(room=0), (0.0,) * 3, (1.0,) * 3, batch=2)
    with pytest.raises(UserError, match="out of memory on cpu with one sample at a time"):
        embedder.pictures(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    class Broken(nn.Module):
        def encode_image(self, images, normalize=False):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        Embedder(Broken(), (0.0,) * 3, (1.0,) * 3, batch=4).pictures(torch.zeros(4, 3, 4, 4).byte())


@pytest.mark.parametrize(
    "built, said, message",
    [
        ({"context_length": 10}, {"context_length": 12}, "takes 10 tokens, and its configuration says 12"),
        ({"vocab_size": 1000}, {}, "knows 1000 tokens"),
    ],
)
def test_a_text_tower_that_is_not_the_configurations_is_refused(config, built, said, message):
    def changed(keys):
        return {**config, "text_cfg": {**config["text_cfg"], **keys}}

    with pytest.raises(UserError, match=message):
        check_context(build_model(changed(built)), make_tokenizer(changed(said))(["a red one"]))
    check_context(build_model(config), make_tokenizer(config)(["a red one"]))


@pytest.mark.parametrize("threads", [1, 3])
def test_jobs_give_their_results_in_order(threads):
    assert list(ahead((lambda n=n: n * n for n in range(20)), threads)) == [n * n for n in range(20)]
