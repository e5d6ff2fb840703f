from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch.testing import assert_close

from ray_compt.errors import UserError
from ray_compt.models import build_model, count_parameters, make_tokenizer, model_config


def test_seed_decides_the_weights(small):
    first, again, other = (build_model(small(), seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["visual.conv1.weight"], other["visual.conv1.weight"])
    assert not torch.equal(first["token_embedding.weight"], other["token_embedding.weight"])


@pytest.mark.parametrize("seed", [None, 7])
def test_global_random_state_is_left_as_found(small, seed):
    before = torch.get_rng_state()
    build_model(small(), seed)
    assert torch.equal(torch.get_rng_state(), before)


def test_without_seed_every_model_differs(small):
    first, second = build_model(small()), build_model(small())
    assert not torch.equal(first.visual.conv1.weight, second.visual.conv1.weight)


@pytest.mark.parametrize("name", ["inline", "convnext_tiny", "MobileCLIP-S1"])
def test_every_parameter_has_a_dimension(small, name):
    config = small() if name == "inline" else model_config(name)
    model = build_model(config, seed=0)
    assert model.logit_scale.shape == (1,)
    assert all(p.ndim > 0 and p.dtype == torch.float32 and p.device.type == "cpu" for p in model.parameters())


def test_configuration_is_not_changed(small):
    config = small() | {"custom_text": True}
    before = copy.deepcopy(config)
    model = build_model(config, seed=0)
    assert config == before
    assert type(model).__name__ == "CustomTextCLIP"


def test_output_is_open_clips_tuple(small):
    model = build_model(small(), seed=0).eval()
    image, text, scale = model(torch.zeros(2, 3, 32, 32), torch.zeros(2, 14, dtype=torch.long))
    assert image.shape == text.shape == (2, 24)
    assert_close(image.norm(dim=-1), torch.ones(2))
    assert scale.shape == (1,)


def test_text_tower_of_the_hub_is_refused():
    with pytest.raises(UserError, match="roberta-base"):
        build_model(model_config("roberta-ViT-B-32"))


def test_parameters_are_counted_without_memory(small):
    model = build_model(small(), seed=0)
    assert count_parameters(small()) == sum(p.numel() for p in model.parameters())
    # 427 million, 1.7 GB if they were allocated.
    assert count_parameters(model_config("L")) == 427_280_641


def test_tokenizer_has_the_models_context(small):
    tokens = make_tokenizer(small())(["a digit", "word " * 40])
    assert tokens.shape == (2, 14)
    assert tokens.dtype == torch.int64
    assert tokens[0, 0] == 49406
    assert tokens[1, -1] == tokens[0].max() == 49407


def test_tokenizer_travels_to_workers(small):
    tokenizer = make_tokenizer(small())
    copied = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
    assert torch.equal(copied(["seven"]), tokenizer(["seven"]))


@pytest.mark.parametrize(
    "config, says",
    [
        ("ViT-B-16-SigLIP", "timm/ViT-B-16-SigLIP"),
        ("roberta-ViT-B-32", "roberta-base"),
        (None, "vocab_size 100"),
    ],
)
def test_tokenizer_that_cannot_be_had(small, config, says):
    with pytest.raises(UserError, match=says):
        make_tokenizer(model_config(config) if config else small(text__vocab_size=100))
