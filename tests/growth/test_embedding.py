"""Embeddings of another width: cosines kept where it widens, the principal subspace where it narrows."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ray_compt.growth import explain, grow
from ray_compt.growth.embedding import widen
from tests.growth.tiny import batch, build, contrastive_loss, features, tiny, trained


def _matrix(size: int, grown: int, towers_widen: bool) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    expansion = widen(size, grown, towers_widen=towers_widen, generator=generator)
    return expansion.write(torch.eye(size, dtype=torch.float64), 0)


@given(st.integers(1, 12), st.integers(0, 20), st.booleans())
@settings(deadline=None, max_examples=60)
def test_widening_is_a_scaled_isometry_without_dead_rows(size: int, extra: int, towers_widen: bool) -> None:
    matrix = _matrix(size, size + extra, towers_widen)
    ratio = (size + extra) / size
    assert torch.allclose(matrix.T @ matrix, ratio * torch.eye(size, dtype=torch.float64))
    assert float(matrix.abs().amax(1).min()) > 1e-3


def test_integer_ratios_tile() -> None:
    assert torch.equal(_matrix(3, 6, True), torch.eye(3, dtype=torch.float64).repeat(2, 1))


def _cosines(model: torch.nn.Module) -> Tensor:
    both = torch.cat(features(model))
    return both @ both.T


@pytest.mark.parametrize("width", [16, 24, 32])
@pytest.mark.parametrize("embed_dim", [12, 15, 24, 40])
@pytest.mark.parametrize("proj_bias", [False, True])
def test_a_wider_embedding_keeps_all_cosines(width: int, embed_dim: int, proj_bias: bool) -> None:
    text = {"proj_bias": proj_bias}
    source = tiny(16, 16, embed_dim=12, text_cfg=text)
    target = tiny(width, width, embed_dim=embed_dim, text_cfg=text)
    model = trained(source)
    grown = build(target, grow(model.state_dict(), source, target))
    assert explain(source, target).lossless
    assert float((_cosines(model) - _cosines(grown)).abs().max()) < (1e-12 if width != 24 else 1e-5)


@pytest.mark.parametrize("width", [16, 24, 32])
@pytest.mark.parametrize("embed_dim", [15, 24])
def test_new_coordinates_leave_the_old_subspace(width: int, embed_dim: int) -> None:
    """After three steps both towers use dimensions in which every embedding was 0 before."""
    source, target = tiny(16, 16, embed_dim=12), tiny(width, width, embed_dim=embed_dim)
    model = build(target, grow(trained(source).state_dict(), source, target))
    images, texts = batch(model, samples=40)

    def outside(old: Tensor, now: Tensor) -> float:
        """Share of the features' energy outside of the span of the old features."""
        basis = torch.linalg.svd(old, full_matrices=False).Vh[:12]
        return float((now - now @ basis.T @ basis).square().sum() / now.square().sum())

    before = features(model, samples=40)
    assert max(outside(old, old) for old in before) < 1e-9
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        contrastive_loss(model, images, texts).backward()
        optimizer.step()
    for old, now in zip(before, features(model, samples=40)):
        assert outside(old, now) > 1e-6


def test_narrowing_keeps_what_both_towers_use() -> None:
    """Embeddings that lie in a subspace of the new width are kept exactly."""
    source, target = tiny(16, 16, embed_dim=12), tiny(32, 24, embed_dim=8)
    model = trained(source)
    subspace = torch.linalg.qr(torch.randn(12, 8, dtype=torch.float64)).Q
    with torch.no_grad():
        for projection in (model.visual.proj, model.text_projection):
            projection.copy_(projection @ subspace @ subspace.T)
    grown = build(target, grow(model.state_dict(), source, target))
    assert float((_cosines(model) - _cosines(grown)).abs().max()) < 1e-5
    assert not explain(source, target).lossless


def test_narrowing_drops_the_least() -> None:
    """The chosen subspace keeps more of random models' cosines than the first coordinates do."""
    source, target = tiny(64, 64, embed_dim=48), tiny(64, 64, embed_dim=24)
    model = trained(source)
    with torch.no_grad():  # Spectra that fall, as those of trained projections do.
        for projection in (model.visual.proj, model.text_projection):
            u, s, _ = torch.linalg.svd(projection, full_matrices=False)
            shared = torch.linalg.qr(
                torch.randn(48, 48, generator=torch.Generator().manual_seed(1)).double()
            ).Q
            projection.copy_(u * s * 0.9 ** torch.arange(48) @ shared)
    grown = build(target, grow(model.state_dict(), source, target))
    first = torch.cat([torch.nn.functional.normalize(one[:, :24], dim=-1) for one in features(model)])
    ours = (_cosines(model) - _cosines(grown)).abs().mean()
    assert float(ours) < 0.5 * float((_cosines(model) - first @ first.T).abs().mean())
    assert float(ours) < 0.1
