"""`grow` and `explain`: the doors of this room. They read configurations, check, and call the operators."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ray_compt.errors import UserError
from ray_compt.growth.clip import describe, fuse_heads, split_heads
from ray_compt.growth.clip_config import ClipConfig, fresh_weights, parameter_shapes, read_config
from ray_compt.growth.corner import embed, embed_into, official_slice, official_slice_into
from ray_compt.growth.lossless import Filler, grow_network
from ray_compt.growth.moments import grow_network_moments
from ray_compt.growth.notes import lossless_notes, official_notes
from ray_compt.growth.operators import choose
from ray_compt.growth.pairs import check_not_shrinking, check_pair, check_supported
from ray_compt.growth.positions import resize_grid

OPERATORS = ("auto", "lossless", "clone", "lemon", "embed", "official_slice", "random")
_LOSSLESS = ("auto", "lossless", "clone", "lemon")
_POSITIONS = "visual.positional_embedding"

# exp_avg and exp_avg_sq, each a state dict.
Moments = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Growth:
    """What growing a pair of models does.

    Attributes:
        operators: the operator of each tower, by the names "image" and "text".
        lossless: whether both towers' normalised features, or at least all cosines between them where the
            embedding widens, are the source's.
        notes: one sentence for each thing worth knowing, in the order of the network.
    """

    operators: dict[str, str]
    lossless: bool
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        towers = ", ".join(f"{tower} {operator}" for tower, operator in self.operators.items())
        return f"{towers} ({'lossless' if self.lossless else 'not lossless'})"


def grow(
    state_dict: Mapping[str, Tensor],
    source_config: Mapping[str, Any],
    target_config: Mapping[str, Any],
    operator: str = "lossless",
    seed: int = 0,
    noise: float | None = None,
) -> dict[str, Tensor]:
    """Turn a trained CLIP's weights into initial weights of a larger one (design: docs/growth.md).

    Args:
        state_dict: the source's state dict under open_clip's names; not changed.
        source_config: open_clip's `{embed_dim, vision_cfg, text_cfg, ...}` of the source.
        target_config: that of the target.
        operator: "lossless" (clone where all of a tower's ratios are integers, lemon otherwise), "clone",
            "lemon", "embed", "official_slice", "random", or "auto", which is lossless.
        seed: the result is a pure function of the arguments; torch's generators are not touched.
        noise: multiplies the filler that makes copied and new units differ, whose standard deviation is
            the weight's for ratio 2 (`Copies`); None is 1, 0 leaves copies equal.

    Returns:
        the target's state dict on the CPU: open_clip's names and shapes for `target_config`, the source's
        dtype (float32 where it has several), logit_scale of the source's shape ([] or [1]).

    Raises:
        CannotGrow: this pair cannot grow by this operator; a caller may use random weights instead.
        UserError: the operator or a configuration is unknown, or the state dict is not the source's.
    """
    _check_operator(operator)
    source, target = read_config(source_config), read_config(target_config)
    if operator == "random":
        return fresh_weights(target_config, seed, state_dict.get("logit_scale", torch.ones(1)))
    operators = _operators(source, target, operator)
    _check_state(state_dict, source)
    state, dtype = _to_float(state_dict)
    if operator == "embed":
        grown = embed(_resized(state, source, target), source, target, seed)
    elif operator == "official_slice":
        grown = official_slice(state, target, seed, source_layers=source.vision.layers)
    else:
        grown = _grow_lossless(
            state, source, target, operators, Filler(seed, 1.0 if noise is None else noise)
        )
    return {key: value.to(dtype) for key, value in grown.items()}


def grow_moments(
    moments: Moments,
    state_dict: Mapping[str, Tensor],
    source_config: Mapping[str, Any],
    target_config: Mapping[str, Any],
    operator: str = "lossless",
    seed: int = 0,
) -> Moments:
    """Turn AdamW's moments of a trained CLIP into those of the model that `grow` makes of it (`moments.py`).

    `embed` and `official_slice` paste moments where they paste weights and leave 0 elsewhere. They are only rough:
    the other weights are random, and under `official_slice` the attention reads other rows than it was trained with.

    Args:
        moments: exp_avg and exp_avg_sq, each named and shaped like the state dict; not changed.
        state_dict, source_config, target_config, operator, seed: as for `grow`.

    Returns:
        both under the target's names and shapes on the CPU, in the moments' dtype; no value is shared.

    Raises:
        CannotGrow, UserError: as `grow`; also for "random", which takes nothing from the source.
    """
    _check_operator(operator)
    if operator == "random":
        raise UserError(
            "growth: random takes no moments from the source", mend="start with a fresh optimizer"
        )
    source, target = read_config(source_config), read_config(target_config)
    operators = _operators(source, target, operator)
    for tensors in (state_dict, *moments):
        _check_state(tensors, source)
    first, second = (_without_grid(_to_float(moment)[0], source, target) for moment in moments)
    if operator in _LOSSLESS:
        state = split_heads(_resized(_to_float(state_dict)[0], source, target))
        towers = grow_network_moments(
            (split_heads(first), split_heads(second)),
            state,
            describe(source),
            describe(target),
            operators,
            Filler(seed, 1.0),
        )
        scalars = describe(target).scalars
        return _with_scalars(towers[0], first, scalars), _with_scalars(towers[1], second, scalars)
    return _pasted(first, source, target, operator), _pasted(second, source, target, operator)


def _without_grid(moment: dict[str, Tensor], source: ClipConfig, target: ClipConfig) -> dict[str, Tensor]:
    """Positions of another grid have no history; the class token's, the first row, has."""
    if source.image_grid == target.image_grid:
        return moment
    token, (rows, columns) = moment[_POSITIONS][:1], target.image_grid
    return {**moment, _POSITIONS: torch.cat([token, token.new_zeros(rows * columns, token.shape[1])])}


def _with_scalars(
    towers: dict[str, Tensor], moment: dict[str, Tensor], scalars: tuple[str, ...]
) -> dict[str, Tensor]:
    """A grown moment with what belongs to no space: the temperature's and the bias's, whose gradients are kept."""
    grown = fuse_heads(towers)
    fresh = torch.zeros_like(moment["logit_scale"])
    grown |= {name: moment.get(name, fresh) for name in scalars}
    return {name: value.clone(memory_format=torch.contiguous_format) for name, value in grown.items()}


def _pasted(
    moment: dict[str, Tensor], source: ClipConfig, target: ClipConfig, operator: str
) -> dict[str, Tensor]:
    temperature = moment["logit_scale"]
    zeros = {name: temperature.new_zeros(shape) for name, shape in parameter_shapes(target.raw).items()}
    zeros["logit_scale"] = torch.zeros_like(temperature)
    if operator == "embed":
        return embed_into(zeros, moment, source, target)
    return official_slice_into(zeros, moment, target, source_layers=source.vision.layers)


def explain(
    source_config: Mapping[str, Any], target_config: Mapping[str, Any], operator: str = "lossless"
) -> Growth:
    """Say what `grow` would do, from the configurations alone.

    Raises:
        CannotGrow, UserError: where `grow` would.
    """
    _check_operator(operator)
    source, target = read_config(source_config), read_config(target_config)
    if operator == "random":
        return Growth({"image": "random", "text": "random"}, False, ["nothing is taken from the source"])
    operators = _operators(source, target, operator)
    if operator not in _LOSSLESS:
        return Growth(
            operators, False, official_notes(source, target) if operator == "official_slice" else []
        )
    notes, losses = lossless_notes(source, target, operators)
    return Growth(operators, not losses, notes + losses)


def _grow_lossless(
    state: dict[str, Tensor],
    source: ClipConfig,
    target: ClipConfig,
    operators: dict[str, str],
    filler: Filler,
) -> dict[str, Tensor]:
    split = split_heads(_resized(state, source, target))
    grown = fuse_heads(grow_network(split, describe(source), describe(target), operators, filler))
    grown["logit_scale"] = state["logit_scale"].clone()
    if target.init_logit_bias is not None:
        fresh = torch.full_like(state["logit_scale"], target.init_logit_bias)
        grown["logit_bias"] = state.get("logit_bias", fresh).clone()
    return grown


def _resized(state: dict[str, Tensor], source: ClipConfig, target: ClipConfig) -> dict[str, Tensor]:
    return {**state, _POSITIONS: resize_grid(state[_POSITIONS], source.image_grid, target.image_grid)}


def _to_float(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], torch.dtype]:
    """The tensors in a dtype to calculate in, and the dtype of the result."""
    dtypes = {value.dtype for value in state_dict.values()}
    exact = torch.float64 if torch.float64 in dtypes else torch.float32
    state = {key: value.detach().cpu().to(exact) for key, value in state_dict.items()}
    return state, dtypes.pop() if len(dtypes) == 1 else exact


def _check_operator(operator: str) -> None:
    if operator not in OPERATORS:
        near = difflib.get_close_matches(operator, OPERATORS, n=1)
        raise UserError(
            f"unknown growth operator {operator!r}",
            mend=f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(OPERATORS)}",
        )


def _operators(source: ClipConfig, target: ClipConfig, operator: str) -> dict[str, str]:
    """The operator of each tower; raises CannotGrow where the pair or the operator has none."""
    check_supported(source, "source")
    check_supported(target, "target")
    check_pair(source, target)
    chosen = {}
    for ours, theirs in zip(describe(source).towers, describe(target).towers):
        check_not_shrinking(ours, theirs)
        chosen[ours.name] = choose(ours, theirs, operator) if operator in _LOSSLESS else operator
    return chosen


def _check_state(state_dict: Mapping[str, Tensor], source: ClipConfig) -> None:
    """Raise UserError unless the state dict has the configuration's parameters (logit_scale of [] or [1])."""
    scalars = describe(source).scalars
    shapes = parameter_shapes(source.raw)
    extra = next((key for key in state_dict if key not in shapes), None)
    if extra:
        raise _not_the_source(f"{extra} belongs to no part of it")
    for key, shape in shapes.items():
        if key not in state_dict:
            raise _not_the_source(f"{key} is missing")
        if key not in scalars and state_dict[key].shape != shape:
            raise _not_the_source(f"{key} is {list(state_dict[key].shape)} instead of {list(shape)}")


def _not_the_source(problem: str) -> UserError:
    return UserError(
        f"the weights to grow are not those of the source's configuration: {problem}",
        mend="give the configuration with which these weights were trained",
    )
