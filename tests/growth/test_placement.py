"""Each block of the fused attention weight arrives in its own block, and neurons beside their readers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ray_compt.growth import grow
from tests.growth.tiny import tiny, trained

BLOCK = "visual.transformer.resblocks.0."
FUSED = BLOCK + "attn.in_proj_"


def _grown(width: int, operator: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    source, target = tiny(16, 16), tiny(width, width)
    state = trained(source).state_dict()
    return state, grow(state, source, target, operator, noise=0.0)


def _blocks(state: dict[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    parts = zip("qkv", state[FUSED + "weight"].chunk(3), state[FUSED + "bias"].chunk(3))
    return {which: (weight, bias) for which, weight, bias in parts}


@pytest.mark.parametrize("which", "qkv")
@pytest.mark.parametrize("tower", ["visual.", ""])
def test_clone_tiles_queries_keys_and_values_apart(which: str, tower: str) -> None:
    source, target = tiny(16, 16), tiny(32, 32)
    state = trained(source).state_dict()
    grown = grow(state, source, target, "clone", noise=0.0)
    at, key = "qkv".index(which), f"{tower}transformer.resblocks.1.attn.in_proj_"
    weight, bias = state[key + "weight"].chunk(3)[at], state[key + "bias"].chunk(3)[at]
    assert torch.equal(grown[key + "weight"].chunk(3)[at], weight.repeat(2, 2) / 2)
    assert torch.equal(grown[key + "bias"].chunk(3)[at], bias.repeat(2))


@pytest.mark.parametrize("operator", ["lemon", "embed"])
def test_whole_heads_arrive_in_their_own_block(operator: str) -> None:
    state, grown = _grown(24, operator)
    for which, (weight, bias) in _blocks(state).items():
        wide, wide_bias = _blocks(grown)[which]
        assert torch.equal(wide[:16, :16], weight)
        assert torch.equal(wide_bias[:16], bias)


def test_the_released_bug_would_be_caught() -> None:
    """The official operator fails the test above: otherwise that test would not tell them apart."""
    state, grown = _grown(24, "official_slice")
    value, _ = _blocks(state)["v"]
    wide, _ = _blocks(grown)["v"]
    assert not torch.equal(wide[:16, :16], value)


def test_lemon_copies_neurons_in_turn_and_shares_their_readers() -> None:
    state, grown = _grown(24, "lemon")
    names = BLOCK + "mlp.c_fc.weight", BLOCK + "mlp.c_proj.weight"
    (ours, reader), (wide, wide_reader) = ([tensors[name] for name in names] for tensors in (state, grown))
    assert torch.equal(wide[:64, :16], ours)
    assert torch.equal(wide[64:, :16], ours[:32])
    scale = 1.5**0.5
    assert torch.allclose(wide_reader[:16, :32] + wide_reader[:16, 64:], scale * reader[:, :32])
    assert torch.allclose(wide_reader[:16, 32:64], scale * reader[:, 32:])
