"""The algebra of every expansion: R E = I, N E = 0, W' x' = E_b W x, and LayerNorms that keep their function."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import layer_norm

from ray_compt.growth.expansions import BeforeEntryNorm, Copies, Expansion, Map, MeanPadded, ZeroPadded
from ray_compt.growth.operators import copies
from ray_compt.growth.spaces import Space

EXACT = 1e-12


def _matrix(expansion: Expansion, size: int) -> Tensor:
    """E [D', D], read off its action on the identity."""
    return expansion.write(torch.eye(size, dtype=torch.float64), 0)


def _draw(seed: int):
    generator = torch.Generator().manual_seed(seed)
    return lambda shape: torch.randn(shape, generator=generator, dtype=torch.float64)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


widths = st.tuples(st.integers(1, 5), st.integers(0, 9), st.sampled_from([1, 2, 4])).map(
    lambda draw: (draw[0] * draw[2], (draw[0] + draw[1]) * draw[2], draw[2])
)


@given(widths, st.integers(0, 99))
@settings(deadline=None, max_examples=60)
def test_a_reader_of_copies_is_unchanged_and_its_filler_differs(
    width: tuple[int, int, int], seed: int
) -> None:
    size, grown, group = width
    space = copies(Space("units", size, group), grown)
    weight, expand = _random(7, size, seed=seed), _matrix(space, size)
    wide, plain = space.read(weight, 1, _draw(seed)), space.read(weight, 1, lambda shape: torch.zeros(shape))
    assert float((wide @ expand - weight).abs().max()) < EXACT  # (W R + N) E = W, so R E = I
    assert float(((wide - plain) @ expand).abs().max()) < EXACT  # N E = 0
    copied = torch.bincount(space.index, minlength=size)[space.index] > 1
    assert ((wide - plain).abs().amax(0) > 1e-6).equal(copied)  # every copy differs, nothing else does


def test_the_filler_of_two_copies_has_the_weights_own_spread() -> None:
    weight = 0.3 * _random(400, 64)
    for ratio, expected in ((2, 1.0), (3, (2 / 3) ** 0.5), (4, 0.5**0.5)):
        space = copies(Space("stream", 64), 64 * ratio)
        filler = space.read(weight, 1, _draw(1)) - weight.repeat(1, ratio) / ratio
        # Taking the mean over the copies off leaves (1 - 1/c) of the variance.
        spread = filler.std() / weight.std() / (1 - 1 / ratio) ** 0.5
        assert abs(float(spread) - expected) < 0.02


def test_heads_are_copied_whole() -> None:
    space = copies(Space("units", 6, group=3), 15)
    assert space.index.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 0, 1, 2]


@given(st.integers(2, 9), st.integers(1, 9), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_mean_padded_stream_gives_a_zero_padded_norm(size: int, extra: int, seed: int) -> None:
    grown = size + extra
    stream, normed = MeanPadded(size, grown), ZeroPadded(size, grown)
    x, gain, bias = _random(4, size, seed=seed), _random(size, seed=seed + 1), _random(size, seed=seed + 2)
    before = layer_norm(x, (size,), gain, bias, eps=1e-2)
    after = layer_norm(stream.write(x, 1), (grown,), stream.gain(gain), normed.write(bias, 0), eps=1e-2)
    assert float((after - normed.write(before, 1)).abs().max()) < EXACT
    weight = _random(3, size, seed=seed + 3)
    wide = normed.read(weight, 1, _draw(seed))
    assert float((wide @ _matrix(normed, size) - weight).abs().max()) == 0
    assert wide[:, size:].all()


@given(st.integers(8, 40), st.integers(1, 12), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_the_norm_before_the_first_block_writes_its_own_mean(size: int, pairs: int, seed: int) -> None:
    grown = size + 2 * pairs
    x, gain, bias = _random(6, size, seed=seed) + 1, 1 + 0.2 * _random(size, seed=seed + 1), _random(size)
    entry, stream = BeforeEntryNorm.of(gain, grown), MeanPadded(size, grown)
    before = layer_norm(x, (size,), gain, bias, eps=1e-5)
    wide = entry.write(x, 1)
    after = layer_norm(wide, (grown,), entry.gain(gain), stream.write(bias, 0), eps=1e-5)
    assert float((after - stream.write(before, 1)).abs().max()) < 1e-4
    # The whole of the error is the variance's, (r - 1) (a.x)²/k²; with it the result is exact.
    centred = x - x.mean(1, keepdim=True)
    d = x @ ((gain - gain.mean()) / size)
    variance = centred.square().mean(1) + (grown / size - 1) * d.square() / entry.k**2
    exact = gain * centred / (variance + 1e-5).sqrt()[:, None] + bias
    assert float((after - stream.write(exact, 1)).abs().max()) < 1e-10
    assert entry.k >= 16


def test_narrow_widths_with_wide_gains_get_a_larger_k() -> None:
    assert BeforeEntryNorm.of(1 + 0.2 * _random(768), 1024).k == 16
    assert BeforeEntryNorm.of(1 + 0.2 * _random(16), 24).k > 16


def test_a_matrix_acts_along_the_axis_that_is_written() -> None:
    matrix, weight = _random(5, 3), _random(3, 4)
    assert torch.allclose(Map(matrix).write(weight, 0), matrix @ weight)
    assert torch.allclose(Map(matrix).write(weight.T, 1), (matrix @ weight).T)


def test_an_unchanged_size_is_a_copy() -> None:
    weight = _random(3, 4)
    space = Copies(torch.arange(4), 4)
    assert space.write(weight, 1) is weight
    assert space.read(weight, 1, _draw(0)) is weight
