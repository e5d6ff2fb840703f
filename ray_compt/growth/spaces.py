"""The words in which an architecture is described for growth.

A network is a set of *activation spaces* and of *parts* that read one space and write another. Growth
knows nothing else of an architecture: to support a new one, write a description with these words (as
`clip.py` does) and leave the operators alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

# entry: written by embeddings, read by a norm that writes the stream. stream: the residual stream, read
# by norms only. normed: what norms write and weights read. units: heads or neurons, which act one by one
# and can therefore be copied. embedding: the output, read by nothing.
Role = Literal["entry", "stream", "normed", "units", "embedding"]

EMBEDDING = "embedding"


@dataclass(frozen=True)
class Space:
    """One activation space of `size` channels; `group` channels (a head's width) are copied together."""

    role: Role
    size: int
    group: int = 1


@dataclass(frozen=True)
class Weight:
    """A tensor that writes a space along one axis and may read another along a second one.

    Biases and embedding tables are weights that read nothing. `ends_branch` marks what adds to the
    residual stream at the end of a block's branch: with all of these zero the block is the identity.
    """

    name: str
    writes: str
    reads: str | None = None
    write_axis: int = 0
    read_axis: int = 1
    ends_branch: bool = False

    @property
    def tensors(self) -> tuple[str, ...]:
        return (self.name,)


@dataclass(frozen=True)
class Norm:
    """A LayerNorm (`name.weight` gain, `name.bias`) from one space to another."""

    name: str
    reads: str
    writes: str

    @property
    def tensors(self) -> tuple[str, ...]:
        return (f"{self.name}.weight", f"{self.name}.bias")


@dataclass(frozen=True)
class LayerScale:
    """A gain for each channel that the writer named by `scales` (its tensors) writes."""

    name: str
    space: str
    scales: tuple[str, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        return (self.name,)


Part = Weight | Norm | LayerScale


@dataclass(frozen=True)
class Stack:
    """`layers` layers of the same parts; `prefix.format(i)` and a part's name give the parameter's name."""

    prefix: str
    parts: tuple[Part, ...]
    layers: int = 1

    def key(self, layer: int, name: str) -> str:
        return self.prefix.format(layer) + name

    def origin(self, layer: int, layers: int) -> tuple[int, bool]:
        """The layer of this stack from which layer `layer` of a stack of `layers` grows: floor(i L/L').

        Returns:
            its number, and whether an earlier layer has grown from it already.
        """
        source = layer * self.layers // layers
        return source, layer > 0 and (layer - 1) * self.layers // layers == source


@dataclass(frozen=True)
class Tower:
    """A run of stacks over spaces of its own; parts may also write the network's `EMBEDDING`."""

    name: str
    spaces: Mapping[str, Space]
    stacks: tuple[Stack, ...]

    @property
    def stream(self) -> Space:
        return next(space for space in self.spaces.values() if space.role == "stream")


@dataclass(frozen=True)
class Network:
    """Towers that meet in one embedding; `scalars` are parameters that belong to no space."""

    towers: tuple[Tower, ...]
    embedding: Space
    scalars: tuple[str, ...]


@dataclass(frozen=True)
class GrownPart:
    """A part of one layer of a grown tower, and what it grows from.

    Attributes:
        part: as the grown tower describes it.
        name: of the part in its layer.
        sources, targets: names of its tensors in the source and in the grown network.
        repeated: an earlier layer has grown from the same one.
    """

    part: Part
    name: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    repeated: bool


def grown_parts(source: Tower, target: Tower) -> Iterator[GrownPart]:
    """Every part of the target, stack by stack and layer by layer."""
    for ours, theirs in zip(source.stacks, target.stacks):
        for layer in range(theirs.layers):
            origin, repeated = ours.origin(layer, theirs.layers)
            for part in theirs.parts:
                sources = tuple(ours.key(origin, name) for name in part.tensors)
                targets = tuple(theirs.key(layer, name) for name in part.tensors)
                yield GrownPart(part, theirs.key(layer, part.name), sources, targets, repeated)


def linear(name: str, reads: str, writes: str, *, ends_branch: bool = False) -> tuple[Weight, Weight]:
    """The two parts of a `torch.nn.Linear`: weight [out, in] and bias [out]."""
    return (
        Weight(f"{name}.weight", writes, reads, ends_branch=ends_branch),
        Weight(f"{name}.bias", writes, ends_branch=ends_branch),
    )
