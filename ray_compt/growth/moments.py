"""AdamW's moments carried through growth: what the optimizer of the grown network would have gathered.

A weight that reads space a and writes space b grows as W' = E_b W R_a + N. Where the function is kept, activations
become x' = E_a x and deltas d' = R_bᵀ d, and its gradient, a sum of d xᵀ, grows by the other two matrices:

    W' = E_b W R_a + N        dW' = d' x'ᵀ = R_bᵀ dW E_aᵀ        (biases and tables: db' = R_bᵀ db)

exp_avg is linear in gradients and grows like one. exp_avg_sq grows by the squared entries of the same matrices, which
is exact where an entry comes from one source entry (everywhere but in an embedding that is rotated or projected: there
the source's entries are taken as uncorrelated).

What is exact, against the true gradient of the grown network:

- clone without noise: every tensor. Noise N adds to the deltas d' a part that is linear in each N and 0 on average;
  so the mapped first moment is the expectation over the noise, and the second is too small by the noise's variance.
- lemon: every tensor that does not write the stream, as for clone; what does lacks one direction (`MeanPadded`).
- Units without history have moments 0: the channels that lemon adds, and inserted layers (their inner weights have
  gradient 0 at first, their writers do not).
- Where the function is not kept (another grid, a narrower embedding), it is what the maps make of it, no more.

Adam's step count belongs to a whole tensor. It is carried, so that the moments are taken as they are; entries that
start from 0 then move by up to max_t (1 - beta1^t)/sqrt(1 - beta2^t) learning rates, at most 1.6 for betas (0.9, 0.98)
and 6.6 for (0.9, 0.999), within the first 1/(1 - beta2) steps or so. A restarted count would hold back all others by
the same factor instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ray_compt.growth.expansions import Expansion
from ray_compt.growth.lossless import Filler, grow_embedding
from ray_compt.growth.operators import expansions, unfit_layer_scales
from ray_compt.growth.spaces import (
    EMBEDDING,
    LayerScale,
    Network,
    Norm,
    Part,
    Stack,
    Tower,
    Weight,
    grown_parts,
)


def grow_network_moments(
    moments: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    state: Mapping[str, Tensor],
    source: Network,
    target: Network,
    operators: Mapping[str, str],
    filler: Filler,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The moments of a network that `lossless.grow_network` has grown with the same arguments.

    Args:
        moments: exp_avg and exp_avg_sq, named and shaped as `state`.

    Returns:
        both for the target's tensors, its scalars left out.
    """
    embedding = grow_embedding(state, source, target, filler)
    grown: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for ours, theirs in zip(source.towers, target.towers):
        spaces = {**expansions(operators[ours.name], ours, theirs, state), EMBEDDING: embedding}
        for power, (before, after) in enumerate(zip(moments, grown), start=1):
            fit = _prepare_layer_scale(operators[ours.name], ours, theirs, state, before, power)
            after.update(_grow_tower(fit, ours, theirs, spaces, power))
    return grown


def _grow_tower(
    moment: Mapping[str, Tensor], source: Tower, target: Tower, spaces: Mapping[str, Expansion], power: int
) -> Iterator[tuple[str, Tensor]]:
    for grown in grown_parts(source, target):
        old = [moment[key] for key in grown.sources]
        for key, value in zip(grown.targets, _grow_part(grown.part, old, spaces, power)):
            yield key, torch.zeros_like(value) if grown.repeated else value


def _grow_part(part: Part, old: list[Tensor], spaces: Mapping[str, Expansion], power: int) -> list[Tensor]:
    if isinstance(part, Weight):
        written = spaces[part.writes].delta(old[0], part.write_axis, power)
        return [spaces[part.reads].activation(written, part.read_axis, power) if part.reads else written]
    if isinstance(part, Norm):
        gain, bias = (spaces[part.writes].delta(moment, 0, power) for moment in old)
        return [gain * spaces[part.reads].scale ** power, bias]
    space = spaces[part.space]
    return [space.delta(old[0], 0, power) * space.scale**power]


def _prepare_layer_scale(
    operator: str,
    source: Tower,
    target: Tower,
    state: Mapping[str, Tensor],
    moment: Mapping[str, Tensor],
    power: int,
) -> dict[str, Tensor]:
    """Follow `operators.prepare_layer_scale`: dW of a writer with its gamma folded in is dW/gamma (0 where gamma is 0).

    A LayerScale that the source lacks has no history.
    """
    prepared = dict(moment)
    for stack, layer, part in unfit_layer_scales(operator, source, target):
        if part in stack.parts:
            _fold(prepared, stack, layer, part, state[stack.key(layer, part.name)], power)
        else:
            writer = state[stack.key(layer, part.scales[0])]
            prepared[stack.key(layer, part.name)] = writer.new_zeros(len(writer))
    return prepared


def _fold(
    moment: dict[str, Tensor], stack: Stack, layer: int, part: LayerScale, gamma: Tensor, power: int
) -> None:
    inverse = torch.where(gamma == 0, 0.0, 1 / gamma) ** power
    for key in (stack.key(layer, name) for name in part.scales):
        moment[key] = moment[key] * inverse.reshape(-1, *[1] * (moment[key].ndim - 1))
    moment[stack.key(layer, part.name)] = moment[stack.key(layer, part.name)] * gamma**power
