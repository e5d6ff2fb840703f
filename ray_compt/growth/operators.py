"""The lossless operators: which expansion each space of a tower gets.

| space | clone | lemon |
|---|---|---|
| stream | `Copies` | `MeanPadded` |
| entry (before ln_pre) | `Copies` | `BeforeEntryNorm` |
| normed (what norms write) | `Copies` | `ZeroPadded` |
| heads, neurons | `Copies` | `Copies`, also where the numbers of copies differ |

A space that keeps its size is copied as it is. To add an operator, add a column here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ray_compt.growth.expansions import BeforeEntryNorm, Copies, Expansion, MeanPadded, ZeroPadded
from ray_compt.growth.pairs import CannotGrow
from ray_compt.growth.spaces import LayerScale, Norm, Space, Stack, Tower


def choose(source: Tower, target: Tower, operator: str) -> str:
    """clone or lemon for one tower; lossless (and auto) is clone where every ratio is an integer.

    Raises:
        CannotGrow: the operator cannot grow this tower.
    """
    uneven = _uneven_space(source, target)
    if operator == "clone" and uneven:
        name, ours, theirs = uneven
        raise CannotGrow(
            f"clone needs integer ratios: the {name} of the {source.name} tower go from {ours} to {theirs}",
            mend="use `growth: lossless` (or lemon), which grows by any ratio",
        )
    if operator != "lemon" and not uneven:
        return "clone"
    extra = target.stream.size - source.stream.size
    if "entry" in source.spaces and extra % 2:
        raise CannotGrow(
            f"lemon needs an even number of new channels in the {source.name} tower, which has a norm before "
            f"its first block (ln_pre): {source.stream.size} to {target.stream.size} is {extra} more",
            mend=f"choose a width that differs by an even number, or a multiple of {source.stream.size}",
        )
    return "lemon"


def _uneven_space(source: Tower, target: Tower) -> tuple[str, int, int] | None:
    for name, space in source.spaces.items():
        if target.spaces[name].size % space.size:
            what = "channels" if space.role != "units" else name
            ours, theirs = space.size // space.group, target.spaces[name].size // space.group
            return what, ours, theirs
    return None


def expansions(
    operator: str, source: Tower, target: Tower, state: Mapping[str, Tensor]
) -> dict[str, Expansion]:
    """An expansion for each of a tower's spaces; `state` is the source's, of which ln_pre's gain is read."""
    grown: dict[str, Expansion] = {}
    for name, space in source.spaces.items():
        size = target.spaces[name].size
        if operator == "clone" or size == space.size or space.role == "units":
            grown[name] = copies(space, size)
        elif space.role == "entry":
            grown[name] = BeforeEntryNorm.of(_entry_gain(source, state), size)
        elif space.role == "stream":
            grown[name] = MeanPadded(space.size, size)
        else:
            grown[name] = ZeroPadded(space.size, size)
    return grown


def copies(space: Space, grown: int) -> Copies:
    """Tile a space, whole groups at a time; the last round may be incomplete."""
    groups = torch.arange(grown // space.group) % (space.size // space.group)
    index = groups[:, None] * space.group + torch.arange(space.group)
    return Copies(index.flatten(), space.size)


def _entry_gain(tower: Tower, state: Mapping[str, Tensor]) -> Tensor:
    stack = tower.stacks[0]
    norm = next(part for part in stack.parts if isinstance(part, Norm))
    return state[stack.key(0, f"{norm.name}.weight")]


def prepare_layer_scale(
    operator: str, source: Tower, target: Tower, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Make the source's LayerScales fit to be grown; the function stays the same.

    They are folded into their writers and set to 1, unless clone can copy them (which keeps the scale at
    which an optimizer sees the weights). A source without gets ones.
    """
    prepared = dict(state)
    for stack, layer, part in unfit_layer_scales(operator, source, target):
        if part in stack.parts:
            _fold(prepared, stack, layer, part)
        else:
            writer = state[stack.key(layer, part.scales[0])]
            prepared[stack.key(layer, part.name)] = writer.new_ones(len(writer))
    return prepared


def unfit_layer_scales(
    operator: str, source: Tower, target: Tower
) -> Iterator[tuple[Stack, int, LayerScale]]:
    """LayerScales that cannot be grown as they are, each with the source's stack and layer; some it lacks."""
    for ours, theirs in zip(source.stacks, target.stacks):
        for part in dict.fromkeys(part for part in ours.parts + theirs.parts if isinstance(part, LayerScale)):
            if part not in ours.parts or part not in theirs.parts or operator == "lemon":
                yield from ((ours, layer, part) for layer in range(ours.layers))


def _fold(state: dict[str, Tensor], stack: Stack, layer: int, part: LayerScale) -> None:
    gamma = state[stack.key(layer, part.name)]
    for key in (stack.key(layer, name) for name in part.scales):
        state[key] = state[key] * gamma.reshape(-1, *[1] * (state[key].ndim - 1))
    state[stack.key(layer, part.name)] = torch.ones_like(gamma)
