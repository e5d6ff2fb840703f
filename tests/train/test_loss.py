"""The contrastive loss: the written formula on one process, and the same on several."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.train.loss import Gathered, clip_loss, gather, unit
from tests.train.worlds import run_worlds

N, K, E = 8, 3, 5


def _features(seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(N, E, generator=generator, dtype=dtype)
    text = torch.randn(N, K, E, generator=generator, dtype=dtype)
    return image, text


def _reference(image: torch.Tensor, text: torch.Tensor, scale: float, valid: torch.Tensor) -> torch.Tensor:
    """The formula in `clip_loss`'s docstring, with explicit sums over valid samples only."""
    image, text = image[valid], text[valid]
    total = torch.zeros(())
    for k in range(text.shape[1]):
        similarity = scale * image @ text[:, k].T
        for i in range(len(image)):
            total = total - torch.log_softmax(similarity[i], 0)[i] - torch.log_softmax(similarity[:, i], 0)[i]
    return total / (2 * len(image) * text.shape[1])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), holes=st.sets(st.integers(0, N - 1), max_size=N - 1))
def test_one_worker_computes_the_formula(seed: int, holes: set[int]) -> None:
    image, text = map(unit, _features(seed))
    valid = torch.tensor([i not in holes for i in range(N)])
    ours = clip_loss(image, text, torch.tensor([10.0]), Gathered(image, text, valid, 0))
    torch.testing.assert_close(ours, _reference(image, text, 10.0, valid), atol=1e-5, rtol=1e-5)


def test_a_batch_without_readable_samples_costs_nothing() -> None:
    image, text = map(unit, _features(0))
    valid = torch.zeros(N, dtype=torch.bool)
    assert clip_loss(image, text, torch.tensor([10.0]), Gathered(image, text, valid, 0)) == 0


def _loss_and_gradients(rows: int) -> dict[str, torch.Tensor]:
    """Global loss and gradients of the inputs, put together from all workers' shares."""
    import torch.distributed as dist

    rank, world = dist.get_rank(), dist.get_world_size()
    image, text = _features(1)
    valid = torch.arange(N) != 5
    share = slice(rank * rows, (rank + 1) * rows)
    leaves = [image[share].clone().requires_grad_(), text[share].clone().requires_grad_()]
    scale = torch.tensor([7.0], requires_grad=True)
    mine = [unit(leaf) for leaf in leaves]
    batch = gather(mine[0], mine[1], valid[share])
    loss = clip_loss(mine[0], mine[1], scale, batch)
    loss.backward()
    total, scale_gradient = loss.detach().clone(), scale.grad.clone()
    dist.all_reduce(total)
    dist.all_reduce(scale_gradient)
    gradients = []
    for leaf in leaves:
        parts = [torch.empty_like(leaf.grad) for _ in range(world)]
        dist.all_gather(parts, leaf.grad)
        gradients.append(torch.cat(parts))
    return {"loss": total, "scale": scale_gradient, "image": gradients[0], "text": gradients[1]}


def test_loss_and_gradients_do_not_depend_on_the_number_of_workers() -> None:
    one, two, four = run_worlds(_loss_and_gradients, [(1, (8,)), (2, (4,)), (4, (2,))])
    for other in (two, four):
        for name, tensor in one.items():
            torch.testing.assert_close(other[name], tensor, atol=1e-6, rtol=1e-5)
    assert one["image"].abs().max() > 0
    assert one["image"][5].abs().max() == 0, "an unreadable sample must not train anything"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_unit_vectors_are_computed_in_float32(dtype: torch.dtype) -> None:
    features = unit(torch.randn(4, 64).to(dtype))
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(4))
