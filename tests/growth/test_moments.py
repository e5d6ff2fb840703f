"""Grown moments against true gradients of the grown model, in float64."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ray_compt.errors import UserError
from ray_compt.growth import CannotGrow, grow, grow_moments
from ray_compt.growth.clip import describe, fuse_heads, split_heads
from ray_compt.growth.clip_config import read_config
from ray_compt.growth.lossless import Filler, grow_network
from ray_compt.growth.spaces import LayerScale
from tests.growth.test_lossless import SWITCHES, pairs
from tests.growth.tiny import batch, build, contrastive_loss, tiny, trained

EXACT = 1e-9
# What the channels that lemon adds before ln_pre add to its variance (docs/growth.md), times the gradient's curvature.
LEMON = 1e-4
NO_ENTRY: dict[str, Any] = {"vision_cfg": {"no_ln_pre": True}}
Tensors = dict[str, Tensor]


def gradients(model: torch.nn.Module) -> Tensors:
    """Of the contrastive loss of fixed random input; 0 where a parameter has no part in it."""
    model.zero_grad()
    contrastive_loss(model, *batch(model)).backward()
    return {
        name: torch.zeros_like(value) if value.grad is None else value.grad.clone()
        for name, value in model.named_parameters()
    }


def errors(mapped: Tensors, true: Tensors) -> dict[str, float]:
    """Norm of each tensor's difference, relative to the true one's and to what is rounding in its tensor's kind."""
    largest = max(float(value.norm()) for value in true.values())
    return {
        name: float((mapped[name] - value).norm() / max(float(value.norm()), 1e-6 * largest))
        for name, value in true.items()
    }


def compare(
    source: dict[str, Any],
    target: dict[str, Any],
    operator: str = "lossless",
    noise: float | None = 0.0,
    seed: int = 0,
) -> tuple[dict[str, float], dict[str, float]]:
    """Errors of the first and the second moment after one step from 0, which are the gradient and its square."""
    model = trained(source, seed=seed)
    state, before = model.state_dict(), gradients(model)
    grown = build(target, grow(state, source, target, operator, seed, noise))
    true = gradients(grown)
    squares = {name: value.square() for name, value in before.items()}
    first, second = grow_moments((before, squares), state, source, target, operator, seed)
    assert first.keys() == second.keys() == true.keys()
    return errors(first, true), errors(second, {name: value.square() for name, value in true.items()})


def kinds(config: dict[str, Any]) -> dict[str, set[str]]:
    """Parameters by what a lemon growth knows of their gradient: "stream" (what writes it) or "exact"."""
    found: dict[str, set[str]] = {"stream": set(), "exact": {"logit_scale"}}
    for tower in describe(read_config(config)).towers:
        for stack in tower.stacks:
            for part in stack.parts:
                space = part.space if isinstance(part, LayerScale) else part.writes
                kind = "stream" if space in ("stream", "entry") else "exact"
                for layer in range(stack.layers):
                    found[kind] |= {_fused(stack.key(layer, name)) for name in part.tensors}
    return found


def _fused(name: str) -> str:
    return re.sub(r"\.attn\.[qkv]\.", ".attn.in_proj_", name)


def without_inserted(found: dict[str, float], layers: tuple[int, int], deeper: tuple[int, int]) -> set[str]:
    """Names of the tensors that no inserted layer's writer has."""
    inserted = set()
    for prefix, few, many in (("visual.", layers[0], deeper[0]), ("", layers[1], deeper[1])):
        for layer in range(1, many):
            if layer * few // many == (layer - 1) * few // many:
                inserted.add(f"{prefix}transformer.resblocks.{layer}.")
    writers = ("out_proj", "c_proj")
    return {
        name
        for name in found
        if not any(name.startswith(p) and any(w in name for w in writers) for p in inserted)
    }


def depths(config: dict[str, Any]) -> tuple[int, int]:
    return config["vision_cfg"]["layers"], config["text_cfg"]["layers"]


@given(pairs(integer=True), st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_clone_without_noise_is_exact_in_both_moments(pair: tuple[dict, dict], seed: int) -> None:
    source, target = pair
    first, second = compare(source, target, "clone", seed=seed)
    for name in without_inserted(first, depths(source), depths(target)):
        assert first[name] < EXACT and second[name] < EXACT, name


@given(pairs(integer=False), st.integers(0, 100))
@settings(deadline=None, max_examples=15)
def test_lemon_without_noise_is_exact_where_the_stream_is_not_written(
    pair: tuple[dict, dict], seed: int
) -> None:
    source, target = pair
    for config in pair:
        config["vision_cfg"]["no_ln_pre"] = True
    first, second = compare(source, target, "lemon", seed=seed)
    for name in kinds(target)["exact"] & first.keys():
        assert first[name] < EXACT and second[name] < EXACT, name


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("operator, width", [("clone", 32), ("lemon", 24), ("lemon", 32)])
def test_summed_over_the_new_units_the_true_gradient_is_the_sources(
    operator: str, width: int, noise: float
) -> None:
    """Exact with noise too: the loss is the source's, so the chain rule through `grow` gives its gradient."""
    source, target = tiny(16, 16, **NO_ENTRY), tiny(width, width, layers=(3, 3), **NO_ENTRY)
    model = trained(source)
    state = {name: value.clone().requires_grad_() for name, value in model.state_dict().items()}
    before = gradients(model)
    squares = {name: value.square() for name, value in before.items()}
    first, _ = grow_moments((before, squares), model.state_dict(), source, target, operator)
    true = gradients(build(target, grow(model.state_dict(), source, target, operator, 0, noise)))
    for gradient in (true, first):
        pulled = _pull_back(state, gradient, source, target, operator)
        assert max(errors(pulled, before).values()) < EXACT


def _pull_back(
    state: Tensors, gradient: Tensors, source: dict[str, Any], target: dict[str, Any], operator: str
) -> Tensors:
    """The derivative of <grow(state), gradient> without noise, by the linear maps of `lossless.py`."""
    old, new = describe(read_config(source)), describe(read_config(target))
    operators = {tower.name: operator for tower in old.towers}
    grown = fuse_heads(grow_network(split_heads(state), old, new, operators, Filler(0, 0.0)))
    product = sum((grown[name] * gradient[name]).sum() for name in grown)
    names = [name for name in state if name != "logit_scale"]
    found = torch.autograd.grad(product, [state[name] for name in names], allow_unused=True)
    pulled = {name: torch.zeros_like(state[name]) if g is None else g for name, g in zip(names, found)}
    return {**pulled, "logit_scale": gradient["logit_scale"]}


def test_with_noise_the_map_is_the_expectation_of_the_true_gradient() -> None:
    source, target = tiny(16, 16), tiny(32, 32)
    model = trained(source)
    before = gradients(model)
    squares = {name: value.square() for name, value in before.items()}
    first, second = grow_moments((before, squares), model.state_dict(), source, target, "clone")
    drawn = [
        gradients(build(target, grow(model.state_dict(), source, target, "clone", seed, 0.5)))
        for seed in range(40)
    ]
    for name in first:
        draws = torch.stack([gradient[name] for gradient in drawn])
        error = (draws.mean(0) - first[name]).norm()
        spread = (draws.std(0).square().sum() / len(drawn)).sqrt()
        assert error <= 1.6 * spread + EXACT, name
        assert draws.square().mean(0).sum() >= second[name].sum() * 0.9 - EXACT, name
    # What reads the last norm has no noise above it.
    assert (
        max(errors(first, drawn[0])[name] for name in ("visual.proj", "text_projection", "logit_scale"))
        < EXACT
    )


@pytest.mark.parametrize("switch", SWITCHES)
def test_open_clips_switches(switch: str) -> None:
    config = SWITCHES[switch]
    source, target = tiny(16, 16, **config), tiny(32, 32, **config)
    first, second = compare(source, target, "clone")
    assert max(first.values()) < EXACT and max(second.values()) < EXACT


def test_through_ln_pre_lemon_is_as_exact_as_its_function() -> None:
    source, target = tiny(16, 16), tiny(24, 24)
    first, second = compare(source, target, "lemon")
    for name in kinds(target)["exact"]:
        assert first[name] < LEMON and second[name] < LEMON, name


@pytest.mark.parametrize("operator", ["clone", "lemon"])
def test_the_direction_that_lemon_lacks_is_small_and_no_other(operator: str) -> None:
    """On what writes the stream: 0 for clone, else the norm of a rank one over the channels, about 1/sqrt(D)."""
    source, target = tiny(32, 32, **NO_ENTRY), tiny(64, 64, **NO_ENTRY)
    first, _ = compare(source, target, operator)
    worst = max(first[name] for name in kinds(target)["stream"])
    assert worst < EXACT if operator == "clone" else EXACT < worst < 1


@pytest.mark.parametrize("towers, embed_dim", [(32, 24), (32, 18), (16, 24), (24, 24)])
def test_a_wider_embedding_is_exact_but_for_the_squares_of_a_rotation(towers: int, embed_dim: int) -> None:
    source, target = tiny(16, 16), tiny(towers, towers, embed_dim=embed_dim)
    first, second = compare(source, target)
    for name in ("visual.proj", "text_projection"):
        assert first[name] < LEMON
        rotated = towers == 16
        assert (second[name] < LEMON) != rotated
        assert second[name] < 2


@pytest.mark.parametrize("width", [16, 24, 32])
@pytest.mark.parametrize("before, after", [(0.1, 0.1), (0.1, None), (None, 0.1)])
def test_layer_scale(width: int, before: float | None, after: float | None) -> None:
    def config(width: int, layer_scale: float | None) -> dict[str, Any]:
        scale = {"ls_init_value": layer_scale}
        return tiny(width, width, vision_cfg={**scale, "no_ln_pre": True}, text_cfg=scale)

    source, target = config(16, before), config(width, after)
    first, second = compare(source, target)
    exact = first.keys() if width != 24 else kinds(target)["exact"]
    fresh = "gamma" if before is None else "nothing"
    for name in exact:
        if fresh not in name:
            assert first[name] < EXACT and second[name] < EXACT, name


def test_a_gamma_of_zero_leaves_no_infinity() -> None:
    source, target = tiny(vision_cfg={"ls_init_value": 0.1}), tiny(24, 24)
    model = trained(source)
    with torch.no_grad():
        model.visual.transformer.resblocks[0].ls_1.gamma[3] = 0
    found = gradients(model)
    grown = grow_moments((found, found), model.state_dict(), source, target)
    assert all(value.isfinite().all() for moment in grown for value in moment.values())


def test_what_has_no_history_starts_from_zero() -> None:
    """Inserted layers, channels that lemon adds, and positions of another grid."""
    source, target = tiny(16, 16), tiny(24, 24, layers=(4, 2), image_size=32)
    found = {name: torch.ones_like(value) for name, value in gradients(trained(source)).items()}
    first, second = grow_moments((found, found), trained(source).state_dict(), source, target)
    for moment in (first, second):
        assert not moment["visual.transformer.resblocks.1.mlp.c_fc.weight"].any()
        assert not moment["visual.transformer.resblocks.3.attn.out_proj.bias"].any()
        assert moment["visual.transformer.resblocks.2.attn.out_proj.bias"][:16].all()
        assert not moment["token_embedding.weight"][:, 16:].any()
        assert moment["visual.positional_embedding"][0, :16].all()
        assert not moment["visual.positional_embedding"][1:].any()


@pytest.mark.parametrize("operator", ["embed", "official_slice"])
def test_pasted_moments_lie_where_the_weights_were_pasted(operator: str) -> None:
    source, target = tiny(16, 16), tiny(32, 24, layers=(3, 2), embed_dim=20)
    state = trained(source).state_dict()
    marked = {name: torch.full_like(value, 7.0) for name, value in state.items()}
    weights = grow(marked, source, target, operator)
    for moment in grow_moments((marked, marked), state, source, target, operator):
        assert {name: value.shape for name, value in moment.items()} == {
            name: value.shape for name, value in weights.items()
        }
        assert all(torch.equal(moment[name] == 7, weights[name] == 7) for name in weights)
        assert all(((value == 7) | (value == 0)).all() for value in moment.values())


def test_second_moments_are_never_negative_and_nothing_is_shared() -> None:
    source, target = tiny(16, 16, embed_dim=12), tiny(16, 24, layers=(4, 2), embed_dim=8)
    model = trained(source, dtype=torch.float32)
    found = gradients(model)
    kept = {name: value.clone() for name, value in found.items()}
    squares = {name: value.square() for name, value in found.items()}
    first, second = grow_moments((found, squares), model.state_dict(), source, target)
    assert all((value >= 0).all() for value in second.values())
    assert {value.dtype for moment in (first, second) for value in moment.values()} == {torch.float32}
    for value in (*first.values(), *second.values()):
        assert value.is_contiguous()
        value.fill_(1.0)
    assert all(torch.equal(found[name], kept[name]) for name in kept)


def test_an_equal_pair_is_a_copy() -> None:
    source = tiny(vision_cfg={"ls_init_value": 0.1})
    model = trained(source)
    found = gradients(model)
    for moment in grow_moments((found, found), model.state_dict(), source, source):
        assert all(torch.equal(moment[name], found[name]) for name in found)


def test_what_cannot_be_carried_is_refused() -> None:
    source, target = tiny(), tiny(32, 32)
    model = trained(source)
    found = gradients(model)
    with pytest.raises(UserError, match="random takes no moments"):
        grow_moments((found, found), model.state_dict(), source, target, "random")
    with pytest.raises(CannotGrow):
        grow_moments((found, found), model.state_dict(), source, tiny(32, 32, head_width=16))
    lacking = {name: value for name, value in found.items() if name != "visual.proj"}
    with pytest.raises(UserError, match=r"visual\.proj is missing"):
        grow_moments((found, lacking), model.state_dict(), source, target)


def test_the_comparison_notices_a_wrong_map() -> None:
    """Weights grown in place of gradients would not do: the tests of this file can fail."""
    source, target = tiny(16, 16), tiny(32, 32)
    model = trained(source)
    found = gradients(model)
    wrong = grow(found, source, target, "clone", noise=0.0)
    true = gradients(build(target, grow(model.state_dict(), source, target, noise=0.0)))
    assert errors(wrong, true)["visual.conv1.weight"] > 0.5
