"""How one activation space grows: an expansion E [D', D], its left inverse R [D, D'] and a filler.

Each class is one choice of (E, R, filler), applied without building the matrices. With x' = E_a x in the
space that a weight reads, W' = E_b W R_a + N keeps W' x' = E_b (W x) as long as N E_a = 0; a bias grows as
E_b b. Add a way of growing a space here; which space grows how is chosen in `operators.py`.

Gradients grow by the other matrix of each space: activations become x' = E_a x and their deltas d' = R_bᵀ d, so
that dW' = d' x'ᵀ = R_bᵀ dW E_aᵀ (`moments.py`). Both matrices are also wanted with their entries squared, for
second moments: that is what `power` 2 means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# Standard normal draws of a shape, already multiplied by the caller's noise scale.
Draw = Callable[[torch.Size], Tensor]


class Expansion:
    """The growth of one space. A subclass implements what the spaces that it suits need.

    Attributes:
        scale: factor by which the space's old channels grow, and what a norm that reads it makes of them before
            its gain: the entries of E on the old channels.
    """

    @property
    def scale(self) -> float:
        return 1.0

    def write(self, weight: Tensor, axis: int) -> Tensor:
        """E W: expand the axis along which a weight writes this space."""
        raise TypeError(f"{type(self).__name__} has no rule for weights that write its space")

    def read(self, weight: Tensor, axis: int, draw: Draw) -> Tensor:
        """W R + N: expand the axis along which a weight reads this space; the function is unchanged."""
        raise TypeError(f"{type(self).__name__} has no rule for weights that read its space")

    def gain(self, gain: Tensor) -> Tensor:
        """The gain [D'] of a LayerNorm that reads this space."""
        raise TypeError(f"{type(self).__name__} has no rule for norms that read its space")

    def layer_scale(self, gamma: Tensor) -> Tensor:
        """The LayerScale [D'] behind a weight that writes this space."""
        raise TypeError(f"{type(self).__name__} has no rule for a LayerScale on its space")

    def delta(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        """Rᵀ G: expand the axis along which the gradient of a weight has this space's deltas."""
        raise TypeError(f"{type(self).__name__} has no rule for gradients of weights that write its space")

    def activation(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        """G Eᵀ: expand the axis along which the gradient of a weight has this space's activations."""
        raise TypeError(f"{type(self).__name__} has no rule for gradients of weights that read its space")


@dataclass(frozen=True)
class Copies(Expansion):
    """Channel i of the grown space is a copy of channel index[i] (HyperCloning, arXiv 2409.12903).

        E = [I; I; ...]      R = [I/c I/c ...], c copies of a channel      N: sums to 0 over the copies

    Each channel must occur; the numbers of copies may differ, except where a norm reads the space (a
    LayerNorm's mean and variance are only kept by equal numbers). Before its mean over the copies is taken
    off, N has a standard deviation of sqrt(2/c) std(W), so that the common and the new part of a sum over
    the copies have about equal gain; without copies (c = 1) it is exactly 0.
    """

    index: Tensor
    size: int

    @property
    def is_identity(self) -> bool:
        return len(self.index) == self.size

    def write(self, weight: Tensor, axis: int) -> Tensor:
        return weight if self.is_identity else weight.index_select(axis, self.index)

    def gain(self, gain: Tensor) -> Tensor:
        return self.write(gain, 0)

    def layer_scale(self, gamma: Tensor) -> Tensor:
        return self.write(gamma, 0)

    def read(self, weight: Tensor, axis: int, draw: Draw) -> Tensor:
        if self.is_identity:
            return weight
        count = self._count(weight, axis)
        copies = count.index_select(axis, self.index)
        grown = weight.index_select(axis, self.index) / copies
        noise = draw(grown.shape) * weight.std() * (2 / copies).sqrt()
        mean = torch.zeros_like(weight).index_add_(axis, self.index, noise) / count
        return grown + noise - mean.index_select(axis, self.index)

    def delta(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        if self.is_identity:
            return gradient
        return (gradient / self._count(gradient, axis) ** power).index_select(axis, self.index)

    def activation(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        return self.write(gradient, axis)

    def _count(self, like: Tensor, axis: int) -> Tensor:
        """How often each channel occurs, [D] along `axis` of a tensor `like` this."""
        per_channel = [1] * like.ndim
        per_channel[axis] = -1
        return torch.bincount(self.index, minlength=self.size).to(like.dtype).reshape(per_channel)


@dataclass(frozen=True)
class MeanPadded(Expansion):
    """A residual stream whose new channels carry the mean of the old ones (LEMON, arXiv 2310.07999).

        E = s [I; 11ᵀ/D; ...], s = sqrt(D'/D)      LayerNorm: gain' = [gain; mean(gain)]/s, bias' = [bias; 0]

    The new channels lie at the mean, so that a LayerNorm gives 0 there; s undoes their part in its
    variance, which therefore stays the same, eps included.

    Deltas: R = [I/s, 0]. That is E's left inverse on all deltas that occur, whose sum over the channels is 0. The
    true ones also have t (1 - D/D') on the old and -t D/D' on the new channels, t = mean(gain dy)/(s sigma) of each
    norm that reads the stream and the delta dy of its output: a direction that the source does not have.
    """

    size: int
    grown: int

    @property
    def scale(self) -> float:
        return float((self.grown / self.size) ** 0.5)

    def write(self, weight: Tensor, axis: int) -> Tensor:
        mean = weight.mean(axis, keepdim=True)
        return self.scale * torch.cat([weight, _repeat(mean, axis, self.grown - self.size)], axis)

    def gain(self, gain: Tensor) -> Tensor:
        return torch.cat([gain, gain.mean().repeat(self.grown - self.size)]) / self.scale

    def layer_scale(self, gamma: Tensor) -> Tensor:
        # The old one is folded into the writer first: the mean is of what is really added to the stream.
        return gamma.new_ones(self.grown)

    def delta(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        return _zero_padded(gradient, axis, self.grown) / self.scale**power


@dataclass(frozen=True)
class ZeroPadded(Expansion):
    """A space whose new channels are 0: what a LayerNorm makes of a `MeanPadded` stream.

    E = [I; 0]      R = [I 0]      N = [0, free]: random columns of std(W), which read zeros at first
    """

    size: int
    grown: int

    def write(self, weight: Tensor, axis: int) -> Tensor:
        return _zero_padded(weight, axis, self.grown)

    def read(self, weight: Tensor, axis: int, draw: Draw) -> Tensor:
        shape = list(weight.shape)
        shape[axis] = self.grown - self.size
        return torch.cat([weight, draw(torch.Size(shape)) * weight.std()], axis)

    def delta(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        return _zero_padded(gradient, axis, self.grown)

    def activation(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        return _zero_padded(gradient, axis, self.grown)


@dataclass(frozen=True)
class BeforeEntryNorm(Expansion):
    """What a LayerNorm reads that writes a `MeanPadded` stream (`ln_pre`): its output's mean must appear.

    That mean is mean(bias) + a.x/sigma with a_i = (gain_i - mean(gain))/D, so the new channels carry a.x:

        E = s [I - 11ᵀ/D; ± aᵀ/k]      gain' = [gain; ± k]      bias' = s [bias; mean(bias)]

    The alternating signs keep the mean (D' - D must be even). A LayerNorm ignores a common shift; taking
    the mean off keeps ± a.x/k, which is small, from being rounded away beside it. The variance is not kept
    exactly: it gains (r - 1)(a.x)²/k², r = D'/D. k = 16 where that is small enough, else larger. Deltas: R = [I/s, 0],
    with the limits of `MeanPadded`'s.
    """

    a: Tensor
    k: float
    grown: int

    # Relative error of sigma that is tolerated for channels that vary independently.
    TOLERANCE = 5e-7

    @classmethod
    def of(cls, gain: Tensor, grown: int) -> BeforeEntryNorm:
        """From the gain [D] of the entry norm."""
        size = len(gain)
        a = (gain - gain.mean()) / size
        ratio = grown / size
        # For independent channels (a.x)² is |a|² sigma² on average, and sigma is off by half of the
        # variance's relative error.
        needed = (float(a.square().sum()) * (ratio - 1) / (2 * cls.TOLERANCE)) ** 0.5
        return cls(a, max(16.0, needed), grown)

    @property
    def scale(self) -> float:
        return float((self.grown / len(self.a)) ** 0.5)

    @property
    def signs(self) -> Tensor:
        signs = torch.ones(self.grown - len(self.a), dtype=self.a.dtype)
        signs[1::2] = -1
        return signs

    def write(self, weight: Tensor, axis: int) -> Tensor:
        last = weight.movedim(axis, -1)
        last = last - last.mean(-1, keepdim=True)
        new = (last @ self.a).unsqueeze(-1) * (self.signs / self.k)
        return (self.scale * torch.cat([last, new], -1)).movedim(-1, axis)

    def gain(self, gain: Tensor) -> Tensor:
        return torch.cat([gain, self.k * self.signs])

    def delta(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        return _zero_padded(gradient, axis, self.grown) / self.scale**power


@dataclass(frozen=True)
class Map(Expansion):
    """Any matrix E [D', D] (float64) for a space that nothing reads: the embedding."""

    matrix: Tensor

    def write(self, weight: Tensor, axis: int) -> Tensor:
        return (weight.movedim(axis, -1) @ self.matrix.T.to(weight.dtype)).movedim(-1, axis)

    def delta(self, gradient: Tensor, axis: int, power: int = 1) -> Tensor:
        # The pseudo-inverse of orthogonal columns of length sqrt(r) is Eᵀ/r: the deltas of unit features are exact.
        inverse: Tensor = torch.linalg.pinv(self.matrix).to(gradient.dtype) ** power
        return (gradient.movedim(axis, -1) @ inverse).movedim(-1, axis)


def _zero_padded(tensor: Tensor, axis: int, grown: int) -> Tensor:
    """Zeros behind a tensor, up to the size `grown` along `axis`."""
    zeros = torch.zeros_like(tensor.narrow(axis, 0, 1))
    return torch.cat([tensor, _repeat(zeros, axis, grown - tensor.shape[axis])], axis)


def _repeat(slice_: Tensor, axis: int, times: int) -> Tensor:
    """A slice of size 1 along `axis`, repeated along it."""
    shape = list(slice_.shape)
    shape[axis] = times
    return slice_.expand(shape)
