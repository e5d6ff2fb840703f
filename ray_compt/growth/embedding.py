"""How the embedding changes its width: one matrix for both towers, since their cosines must agree.

Cosines within and between towers are kept exactly if and only if both towers use the same matrix with
orthogonal columns of one length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from ray_compt.growth.expansions import Copies, Expansion, Map
from ray_compt.growth.spaces import EMBEDDING, Norm, Tower, Weight


def widen(size: int, grown: int, *, towers_widen: bool, generator: torch.Generator) -> Expansion:
    """E [grown, size] with EᵀE = (grown/size) I and no row of zeros.

    Padding with zeros would keep the cosines too, but where both towers write 0 neither ever gets a
    gradient. So coordinates are copied, with sqrt(grown/size/c) for c copies (1 for integer ratios, which
    is plain tiling): every new coordinate gets the gradient of its original. Copies drift apart because the
    filler of a tower that widens is different in every row. Where no tower widens there is no filler, and
    copies would stay equal for ever; a random orthogonal matrix is used instead, whose coordinates differ
    under an element-wise optimizer such as AdamW.
    """
    if grown == size:
        return Copies(torch.arange(size), size)
    if not towers_widen:
        orthogonal, _ = torch.linalg.qr(torch.randn(grown, size, generator=generator, dtype=torch.float64))
        return Map(orthogonal * (grown / size) ** 0.5)
    index = torch.arange(grown) % size
    scale = (grown / size / torch.bincount(index)[index].double()).sqrt()
    return Map(scale[:, None] * F.one_hot(index, size))


def narrow(towers: Iterable[Tower], state: Mapping[str, Tensor], grown: int) -> Expansion:
    """E [grown, size] with orthonormal rows that span the principal subspace of both towers' embeddings.

    A tower's embedding is P (gain * z + bias) + c for its projection P, its last LayerNorm and z of unit
    variance. Taking the entries of z as independent, its second moment is P diag(gain²) Pᵀ plus the outer
    product of its mean; the towers' moments are added, each divided by its trace, and the leading
    eigenvectors taken. Not lossless: what lies outside of the subspace is dropped.
    """
    moment = sum(_second_moment(tower, state) for tower in towers)
    assert isinstance(moment, Tensor)
    _, vectors = torch.linalg.eigh(moment)
    leading = vectors[:, -grown:].flip(1).T
    return Map(leading)


def _second_moment(tower: Tower, state: Mapping[str, Tensor]) -> Tensor:
    """[size, size], trace 1, float64."""
    end = tower.stacks[-1]
    norm = next(part for part in end.parts if isinstance(part, Norm))
    writers = [part for part in end.parts if isinstance(part, Weight) and part.writes == EMBEDDING]
    gain, bias = (state[end.key(0, f"{norm.name}.{kind}")].double() for kind in ("weight", "bias"))
    spread, mean = torch.zeros(()), torch.zeros(())
    for part in writers:
        value = state[end.key(0, part.name)].double().movedim(part.write_axis, 0)
        if part.reads:
            spread = (value * gain) @ (value * gain).T
            mean = mean + value @ bias
        else:
            mean = mean + value
    moment = spread + torch.outer(mean, mean)
    return moment / moment.trace()
