"""Growth that keeps the network's function: one rule for every part of every architecture.

Nothing here knows an architecture or the ways in which a space can grow: `spaces.py` describes what reads
and writes what, `operators.py` chooses an expansion for each space, and `expansions.py` applies it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ray_compt.growth.embedding import narrow, widen
from ray_compt.growth.expansions import Draw, Expansion
from ray_compt.growth.operators import expansions, prepare_layer_scale
from ray_compt.growth.spaces import EMBEDDING, Network, Norm, Part, Tower, Weight, grown_parts


@dataclass(frozen=True)
class Filler:
    """Random numbers for each tensor, determined by a seed and the tensor's name, times `noise`."""

    seed: int
    noise: float

    def generator(self, key: str) -> torch.Generator:
        digest = hashlib.blake2b(f"{self.seed}/{key}".encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)

    def draw(self, key: str, like: Tensor) -> Draw:
        """Normal draws of standard deviation `noise`, of the dtype of `like`."""
        generator = self.generator(key)
        return lambda shape: self.noise * torch.randn(shape, generator=generator, dtype=like.dtype)


def grow_network(
    state: Mapping[str, Tensor],
    source: Network,
    target: Network,
    operators: Mapping[str, str],
    filler: Filler,
) -> dict[str, Tensor]:
    """Grow a whole network.

    Args:
        state: the source's tensors, all of one floating dtype, named as in its description.
        source: the source's description.
        target: the target's: the same towers, stacks and parts (LayerScales aside), other sizes.
        operators: clone or lemon for each tower by name, from `operators.choose`.
        filler: what fills the freedom that the function leaves.

    Returns:
        the target's tensors, none sharing memory with the source's. With an embedding of unchanged width
        both towers' outputs are the source's.
    """
    embedding = grow_embedding(state, source, target, filler)
    grown: dict[str, Tensor] = {}
    for ours, theirs in zip(source.towers, target.towers):
        spaces = {**expansions(operators[ours.name], ours, theirs, state), EMBEDDING: embedding}
        fit = prepare_layer_scale(operators[ours.name], ours, theirs, state)
        grown.update(_grow_tower(fit, ours, theirs, spaces, filler))
    return grown


def grow_embedding(
    state: Mapping[str, Tensor], source: Network, target: Network, filler: Filler
) -> Expansion:
    """How the embedding grows; with the same arguments it is the same."""
    size, grown = source.embedding.size, target.embedding.size
    if grown < size:
        return narrow(source.towers, state, grown)
    widening = any(
        theirs.stream.size > ours.stream.size for ours, theirs in zip(source.towers, target.towers)
    )
    return widen(size, grown, towers_widen=widening, generator=filler.generator(EMBEDDING))


def _grow_tower(
    state: Mapping[str, Tensor],
    source: Tower,
    target: Tower,
    spaces: Mapping[str, Expansion],
    filler: Filler,
) -> Iterator[tuple[str, Tensor]]:
    for grown in grown_parts(source, target):
        part, old = grown.part, [state[key] for key in grown.sources]
        new = _grow_part(part, old, spaces, filler.draw(grown.name, old[0]))
        silent = grown.repeated and isinstance(part, Weight) and part.ends_branch
        for key, before, after in zip(grown.targets, old, new):
            yield key, torch.zeros_like(after) if silent else _own(after, before)


def _grow_part(part: Part, old: list[Tensor], spaces: Mapping[str, Expansion], draw: Draw) -> list[Tensor]:
    if isinstance(part, Weight):
        # Written first, so that the filler differs in every row, copied rows included.
        written = spaces[part.writes].write(old[0], part.write_axis)
        return [spaces[part.reads].read(written, part.read_axis, draw) if part.reads else written]
    if isinstance(part, Norm):
        gain, bias = old
        return [spaces[part.reads].gain(gain), spaces[part.writes].write(bias, 0)]
    return [spaces[part.space].layer_scale(old[0])]


def _own(after: Tensor, before: Tensor) -> Tensor:
    """A contiguous tensor that is no part of the source's memory."""
    return after.clone(memory_format=torch.contiguous_format) if after is before else after.contiguous()
