"""Leaving padding out changes nothing that is learnt."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip import SimpleTokenizer
from open_clip.model import CLIP
from torch import nn

from ray_compt.models import build_model, short_text
from ray_compt.models.short_text import MULTIPLE, Captions, ShortTextCLIP, group_lengths, without_padding

L = 40
TOLERANCE = 1e-12
TEXT = {"context_length": L, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3}
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 8, "patch_size": 4, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": TEXT,
}
OURS = build_model(MODEL, seed=0)
VARIANTS = {
    "plain": {},
    "projection with a bias": {"proj_type": "linear", "proj_bias": True},
    "layer scale": {"ls_init_value": 0.1},
}


def pair(**text) -> tuple[CLIP, nn.Module]:
    """open_clip's own model and ours in float64, of the same weights, biases and gains not at their beginnings."""
    config = {**MODEL, "text_cfg": {**TEXT, **text}}
    ours = build_model(config, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in ours.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    theirs = CLIP(**config, nonscalar_logit_scale=True)
    theirs.load_state_dict(ours.state_dict())
    return theirs.double(), ours.double()


def captions(*words: int) -> torch.Tensor:
    """Tokens of captions of so many words."""
    return SimpleTokenizer(context_length=L)([" ".join(["dog"] * count) for count in words])


@pytest.mark.parametrize("text", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("cheap", [0, 10_000])
@pytest.mark.parametrize("words", [(0,), (3, 9, 1), (13, 14, 15), (90, 2, 20, 1, 38)], ids=str)
def test_features_and_gradients_are_those_of_the_padded_captions(
    monkeypatch: pytest.MonkeyPatch, text: dict, words: tuple[int, ...], cheap: int
):
    monkeypatch.setattr(short_text.group_lengths, "__defaults__", (cheap,))
    theirs, ours = pair(**text)
    tokens = captions(*words)
    direction = torch.randn(len(words), 16, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = theirs.encode_text(tokens, normalize=True)
    found = ours.encode_text(without_padding(ours, tokens), normalize=True)
    for features in (expected, found):
        (features * direction).sum().backward()

    assert (found - expected).abs().max() < TOLERANCE
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    for name, parameter in theirs.named_parameters():
        if parameter.grad is None:
            assert gradients[name] is None
        else:
            assert (
                gradients[name] - parameter.grad
            ).abs().max() < TOLERANCE * parameter.grad.abs().max().clamp(min=1), name


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.sampled_from([0, 16, 10_000]))
def test_every_caption_is_whole_and_in_its_place(words: list[int], cheap: int):
    tokens = captions(*words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(short_text.group_lengths, "__defaults__", (cheap,))
        short = without_padding(OURS, tokens)

    assert isinstance(short, Captions)
    assert len(short.groups) == 1 or cheap < 10_000
    assert [group.shape[1] for group in short.groups] == sorted({group.shape[1] for group in short.groups})
    padded = torch.cat([torch.nn.functional.pad(group, (0, L - group.shape[1])) for group in short.groups])
    assert torch.equal(padded if short.places is None else padded[short.places], tokens)
    longest = min(max(words) + 2, L)
    assert short.groups[-1].shape[1] == -(-longest // MULTIPLE) * MULTIPLE


def test_captions_join_longer_ones_where_that_is_cheap():
    # 3 captions would get 8 tokens of padding each, 40 would get 16.
    assert group_lengths({8: 3, 16: 40, 32: 5}, cheap=24) == [16, 32]
    assert group_lengths({8: 3, 16: 40, 32: 5}, cheap=23) == [8, 16, 32]
    # The 3 and the 40 together would get 16 more.
    assert group_lengths({8: 3, 16: 40, 32: 5}, cheap=43 * 16) == [32]
    assert group_lengths({8: 1}) == [8]


def test_rows_that_could_not_be_read_are_short():
    short = without_padding(OURS, torch.zeros(2, L, dtype=torch.long))

    assert [group.shape for group in short.groups] == [(2, MULTIPLE)]
    assert without_padding(OURS, torch.zeros(0, L, dtype=torch.long)).shape == (0, L)


@pytest.mark.parametrize(
    "text", [{"no_causal_mask": True}, {"pool_type": "last"}, {"pool_type": "first"}], ids=str
)
def test_a_tower_that_looks_at_the_padding_gets_it(text: dict):
    theirs, ours = pair(**text)
    tokens = captions(3, 5)

    assert without_padding(ours, tokens) is tokens
    assert torch.equal(ours.encode_text(tokens), theirs.encode_text(tokens))


def test_a_model_of_another_kind_gets_its_padding():
    model = build_model({**MODEL, "custom_text": True}, seed=0)
    tokens = captions(3)

    assert not isinstance(model, ShortTextCLIP)
    assert without_padding(model, tokens) is tokens
