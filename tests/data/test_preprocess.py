from __future__ import annotations

import hashlib
import io
import pickle
import random
import subprocess
import sys
from pathlib import Path

import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from PIL import Image

from ray_compt.config.augment_keys import AugmentConfig
from ray_compt.config.schema import DataConfig
from ray_compt.data import RawSample, make_preprocess, normalise
from ray_compt.data.randomness import seed_63
from tests.shards import captions_of, picture

MODEL = {"embed_dim": 8, "vision_cfg": {}, "text_cfg": {"context_length": 12, "vocab_size": 49408}}
JITTER = AugmentConfig(scale=(0.4, 1.0), color_jitter=(0.4, 0.4, 0.4, 0.1), gray_scale_prob=0.3)


PLAIN = AugmentConfig()


def preprocess(size=24, captions=1, seed=0, augment=PLAIN, augment_epochs=None):
    data = DataConfig(
        train="unused",
        image_size=size,
        captions_per_image=captions,
        augment=augment,
        augment_epochs=augment_epochs,
    )
    return make_preprocess(data, MODEL, seed=seed)


def sample(key="a", size=40, kind="PNG"):
    return RawSample(key, picture(key, size, kind), captions_of(key, 5))


def opened(raw):
    return Image.open(io.BytesIO(raw.image)).convert("RGB")


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60), st.sampled_from(["JPEG", "PNG", "WEBP"]))
def test_evaluation_is_open_clips_bit_for_bit(width, height, kind):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(picture("x", 60))).resize((width, height)).save(buffer, kind)
    raw = RawSample("x", buffer.getvalue(), ["c"])
    expected = open_clip.image_transform(24, is_train=False)(opened(raw))
    found = normalise(preprocess().evaluate(raw), OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("count", [1, 3])
def test_crops_and_captions_repeat_after_augment_epochs(count):
    raw = sample()
    repeating, plain = (preprocess(captions=3, augment=JITTER, augment_epochs=n) for n in (count, None))
    for epoch in range(7):
        found, wanted = repeating.train(raw, epoch), plain.train(raw, epoch % count)
        assert all(torch.equal(one, other) for one, other in zip(found, wanted))
        if epoch >= count:
            assert not torch.equal(found[0], plain.train(raw, epoch)[0])


@pytest.mark.filterwarnings("ignore:Unused augmentation")
@pytest.mark.parametrize("augment", [PLAIN, JITTER], ids=["plain", "jitter"])
@pytest.mark.parametrize("epoch", range(4))
def test_training_is_open_clips_with_our_seed(augment, epoch):
    raw = sample()
    config = augment.model_dump(include={"scale", "color_jitter"})
    if augment.color_jitter:
        config |= {"color_jitter_prob": augment.color_jitter_prob, "gray_scale_prob": augment.gray_scale_prob}
    transform = open_clip.image_transform(24, is_train=True, aug_cfg=config)
    seed = seed_63(7, epoch, raw.key, "augment")
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    expected = transform(opened(raw))
    image, _ = preprocess(seed=7, augment=augment).train(raw, epoch)
    assert image.dtype == torch.uint8
    assert torch.equal(normalise(image, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD), expected)


def test_a_sample_depends_on_seed_epoch_and_key_only():
    raw = sample()
    first = preprocess(augment=JITTER).train(raw, 3)
    torch.rand(5)
    random.random()
    again = preprocess(augment=JITTER).train(raw, 3)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    others = [
        preprocess(augment=JITTER).train(raw, 4),
        preprocess(seed=1, augment=JITTER).train(raw, 3),
        preprocess(augment=JITTER).train(RawSample("b", raw.image, raw.captions), 3),
    ]
    assert not any(torch.equal(first[0], other[0]) for other in others)


def fingerprint() -> str:
    image, text = preprocess(augment=JITTER, captions=3).train(sample(), 2)
    return hashlib.sha256(image.numpy().tobytes() + text.numpy().tobytes()).hexdigest()


def test_another_process_makes_the_same_sample():
    code = f"import {__name__} as here; print(here.fingerprint())"
    root = Path(__file__).parents[2]
    other = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint()


def test_global_generators_are_left_as_found():
    torch.manual_seed(0)
    random.seed(0)
    expected = torch.rand(3), random.random()
    torch.manual_seed(0)
    random.seed(0)
    preprocess(augment=JITTER).train(sample(), 0)
    broken = RawSample("x", b"", ["c"])
    with pytest.raises(OSError, match="identify"):
        preprocess().train(broken, 0)
    assert torch.equal(torch.rand(3), expected[0])
    assert random.random() == expected[1]


def test_tokens_are_the_tokenizers_of_the_drawn_captions():
    raw = sample()
    tokenize = open_clip.SimpleTokenizer(context_length=12)
    _, text = preprocess(captions=3).train(raw, 0)
    assert (text.shape, text.dtype) == ((3, 12), torch.int64)
    assert torch.equal(text[0], tokenize(raw.captions[:1])[0])
    every = tokenize(raw.captions)
    rows = [next(i for i in range(5) if torch.equal(row, every[i])) for row in text]
    assert len(set(rows)) == 3


def test_a_tokenizer_that_drops_words_at_random_is_pure_too():
    text = {**MODEL["text_cfg"], "tokenizer_kwargs": {"reduction_mask": "random"}}
    raw = RawSample("a", picture("a"), [" ".join(f"word{i}" for i in range(40))])
    dropping = make_preprocess(DataConfig(train="unused", image_size=8), {"text_cfg": text}, seed=0)
    assert torch.equal(dropping.train(raw, 0)[1], dropping.train(raw, 0)[1])
    assert not torch.equal(dropping.train(raw, 0)[1], dropping.train(raw, 1)[1])


def test_one_caption_is_one_row():
    assert preprocess().train(sample(), 0)[1].shape == (1, 12)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_normalise_is_totensor_and_normalize_bit_for_bit(seed):
    from torchvision import transforms

    pixels = torch.randint(
        0, 256, (3, 9, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    chain = transforms.Compose(
        [transforms.ToTensor(), transforms.Normalize(OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)]
    )
    expected = chain(Image.fromarray(pixels.permute(1, 2, 0).numpy()))
    found = normalise(torch.stack([pixels, pixels]), OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)
    assert found.dtype == torch.float32
    assert torch.equal(found[1], expected)


def test_normalise_leaves_its_input_alone():
    pixels = torch.full((1, 3, 2, 2), 128, dtype=torch.uint8)
    normalise(pixels, OPENAI_DATASET_MEAN, OPENAI_DATASET_STD)
    assert torch.all(pixels == 128)


def test_it_travels_light():
    once = preprocess()
    once.train(sample(), 0)
    assert len(pickle.dumps(once)) < 2000
    assert pickle.loads(pickle.dumps(once)) == once  # noqa: S301 (our own)


def test_a_picture_too_thin_to_resize_is_refused_in_evaluation():
    buffer = io.BytesIO()
    Image.new("RGB", (65_000, 1)).save(buffer, "PNG")
    raw = RawSample("x", buffer.getvalue(), ["c"])
    with pytest.raises(ValueError, match="too thin"):
        preprocess(size=224).evaluate(raw)
    assert preprocess().train(raw, 0)[0].shape == (3, 24, 24)
