"""What is new in a grown model learns: after one step everything has a gradient and copies have parted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ray_compt.growth import grow
from tests.growth.tiny import batch, build, contrastive_loss, tiny, trained

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=1e-2),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), eps=1e-6),
}


def _after_one_step(width: int, layers: int, optimizer: str, embed_dim: int = 12) -> torch.nn.Module:
    """A grown model with gradients of its second step."""
    source, target = tiny(16, 16), tiny(width, width, layers=(layers, layers), embed_dim=embed_dim)
    model = build(target, grow(trained(source).state_dict(), source, target)).train()
    stepper = OPTIMIZERS[optimizer](model.parameters())
    images, texts = batch(model, samples=8)
    contrastive_loss(model, images, texts).backward()
    stepper.step()
    stepper.zero_grad()
    contrastive_loss(model, images, texts).backward()
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("width, layers", [(32, 2), (24, 2), (16, 4), (24, 5), (48, 3)])
def test_every_unit_has_a_gradient(width: int, layers: int, optimizer: str) -> None:
    model = _after_one_step(width, layers, optimizer)
    for name, value in model.named_parameters():
        if name == "token_embedding.weight":  # only the tokens of the batch have one
            assert value.grad.abs().amax(0).min() > 0, name
        elif "in_proj_bias" in name:  # a key's bias shifts all logits of a query alike: never a gradient
            query, _, val = value.grad.chunk(3)
            assert query.abs().min() > 0, name
            assert val.abs().min() > 0, name
        elif value.ndim >= 2:
            assert value.grad.flatten(1).abs().amax(1).min() > 0, f"a row of {name} is dead"
            assert value.grad.transpose(0, 1).flatten(1).abs().amax(1).min() > 0, (
                f"a column of {name} is dead"
            )
        else:
            assert value.grad.abs().min() > 0, name


def _relative_distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / (one.norm() + other.norm()))


@pytest.mark.parametrize("embed_dim", [12, 24])
def test_copies_get_gradients_of_their_own(embed_dim: int) -> None:
    model = _after_one_step(32, 2, "SGD", embed_dim)
    block = model.visual.transformer.resblocks[0]
    halves = {
        "neurons": block.mlp.c_fc.weight.grad.chunk(2),
        "heads": block.attn.in_proj_weight.grad.chunk(3)[2].chunk(2),
        "stream": model.visual.conv1.weight.grad.chunk(2),
    }
    for name, (one, other) in halves.items():
        assert _relative_distance(one, other) > 0.05, name


def test_without_noise_copies_stay_equal() -> None:
    """What the filler is for; and the test above can fail."""
    source, target = tiny(16, 16), tiny(32, 32)
    model = build(target, grow(trained(source).state_dict(), source, target, noise=0.0))
    contrastive_loss(model, *batch(model, samples=8)).backward()
    one, other = model.visual.transformer.resblocks[0].mlp.c_fc.weight.grad.chunk(2)
    assert _relative_distance(one, other) < 1e-9


def test_the_channels_that_lemon_adds_get_gradients_of_their_own() -> None:
    grad = _after_one_step(32, 2, "SGD").visual.conv1.weight.grad
    source, target = tiny(16, 16), tiny(32, 32)
    model = build(target, grow(trained(source).state_dict(), source, target, "lemon"))
    contrastive_loss(model, *batch(model, samples=8)).backward()
    new = model.token_embedding.weight.grad[:, 16:]
    assert _relative_distance(new[:, 0], new[:, 1]) > 0.05
    assert grad.isfinite().all()
