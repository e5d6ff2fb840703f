"""A DeepSpeed engine's whole training state as plain tensors, whatever the worker count and ZeRO stage.

DeepSpeed's own checkpoints are tied to the number of workers or to the ZeRO stage. Here every parameter's
fp32 master weight and both AdamW moments are gathered to full shape, so a run may go on anywhere.
All functions are collective: every worker must call them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

MOMENTS = ("exp_avg", "exp_avg_sq")
SCALER_FIELDS = ("cur_scale", "cur_iter", "last_overflow_iter", "cur_hysteresis")


@dataclass(frozen=True)
class EngineState:
    """What AdamW and DeepSpeed know at one moment.

    Attributes:
        weights: parameter name -> float32 tensor of full shape, on the CPU.
        moments: "exp_avg" and "exp_avg_sq" -> the same.
        updates: optimizer updates so far, Adam's t.
        scaler: fp16's dynamic loss scale, empty for other precisions.
    """

    weights: dict[str, Tensor]
    moments: dict[str, dict[str, Tensor]]
    updates: int
    scaler: dict[str, float]


@torch.no_grad()
def gather_state(engine: Any) -> EngineState | None:
    """Collect the full state on rank 0; other ranks get None."""
    access = _access(engine)
    keep = dist.get_rank() == 0
    weights: dict[str, Tensor] = {}
    moments: dict[str, dict[str, Tensor]] = {key: {} for key in MOMENTS}
    for name, parameter in engine.module.named_parameters():
        full = access.weight(parameter)
        if keep:
            weights[name] = _plain(full, parameter)
        for key in MOMENTS:
            full = access.moment(parameter, key)
            if keep:
                moments[key][name] = _plain(full, parameter)
    if not keep:
        return None
    return EngineState(weights, moments, _updates(engine), _scaler(engine))


@torch.no_grad()
def restore_state(engine: Any, state: EngineState) -> None:
    """Put a state back; the module's weights must have been loaded before `deepspeed.initialize`."""
    access = _access(engine)
    for name, parameter in engine.module.named_parameters():
        access.set_weight(parameter, state.weights[name])
    _set_optimizer(engine, access, state.moments, state.updates)
    if engine.fp16_enabled():
        for field, value in state.scaler.items():
            setattr(engine.optimizer.loss_scaler, field, value)


@torch.no_grad()
def start_optimizer(engine: Any, moments: dict[str, dict[str, Tensor]], updates: int) -> None:
    """Give a new engine's AdamW a history; parameters that `moments` do not name start from zero."""
    zeros = {name: torch.zeros(_shape(parameter)) for name, parameter in engine.module.named_parameters()}
    _set_optimizer(engine, _access(engine), {key: zeros | moments[key] for key in MOMENTS}, updates)


def _set_optimizer(engine: Any, access: _Access, moments: dict[str, dict[str, Tensor]], updates: int) -> None:
    for name, parameter in engine.module.named_parameters():
        for key in MOMENTS:
            access.set_moment(parameter, key, moments[key][name])
    for entry in _inner(engine).state.values():
        entry["step"].fill_(updates)


@torch.no_grad()
def clamp_parameter(engine: Any, parameter: nn.Parameter, largest: float) -> None:
    """Lower a parameter's entries to `largest`, in the master copy too. Local to each worker, no waiting."""
    _access(engine, prepare=False).clamp(parameter, largest)


def _access(engine: Any, *, prepare: bool = True) -> _Access:
    kinds: dict[int, type[_Access]] = {0: _Whole, 1: _Sharded, 2: _Sharded, 3: _Partitioned}
    access = kinds[engine.zero_optimization_stage()](engine)
    if prepare:
        access.prepare()
    return access


def _inner(engine: Any) -> torch.optim.Optimizer:
    return getattr(engine.optimizer, "optimizer", engine.optimizer)


def _create_moments(engine: Any, masters: Iterable[Tensor]) -> None:
    # AdamW makes its moments in its first update; a state saved or restored before that needs them too.
    for master in masters:
        entry = _inner(engine).state[master]
        # The fused AdamW wants its step count beside the weights.
        entry.setdefault("step", torch.zeros((), device=master.device))
        for key in MOMENTS:
            entry.setdefault(key, torch.zeros_like(master.data))


def _updates(engine: Any) -> int:
    return max((int(entry["step"]) for entry in _inner(engine).state.values() if "step" in entry), default=0)


def _scaler(engine: Any) -> dict[str, float]:
    # In other precisions only some ZeRO stages have a scaler, whose scale is 1.
    if not engine.fp16_enabled():
        return {}
    scaler = engine.optimizer.loss_scaler
    return {field: float(getattr(scaler, field)) for field in SCALER_FIELDS if hasattr(scaler, field)}


def _shape(parameter: nn.Parameter) -> torch.Size:
    return getattr(parameter, "ds_shape", parameter.shape)


def _plain(full: Tensor, parameter: nn.Parameter) -> Tensor:
    return full.detach().float().cpu().reshape(_shape(parameter)).clone()


class _Access(ABC):
    """How full weights and moments are read and set under one way of sharding."""

    def __init__(self, engine: Any):
        self.engine = engine

    @abstractmethod
    def prepare(self) -> None:
        """Make sure that the moments exist and can be reached."""

    @abstractmethod
    def weight(self, parameter: nn.Parameter) -> Tensor: ...

    @abstractmethod
    def moment(self, parameter: nn.Parameter, key: str) -> Tensor: ...

    @abstractmethod
    def set_weight(self, parameter: nn.Parameter, value: Tensor) -> None: ...

    @abstractmethod
    def set_moment(self, parameter: nn.Parameter, key: str, value: Tensor) -> None: ...

    @abstractmethod
    def clamp(self, parameter: nn.Parameter, largest: float) -> None: ...


class _Whole(_Access):
    """ZeRO 0 in fp32: the parameters are their own masters."""

    def prepare(self) -> None:
        _create_moments(self.engine, self.engine.module.parameters())

    def weight(self, parameter: nn.Parameter) -> Tensor:
        return parameter.data

    def moment(self, parameter: nn.Parameter, key: str) -> Tensor:
        return _inner(self.engine).state[parameter][key]

    def set_weight(self, parameter: nn.Parameter, value: Tensor) -> None:
        parameter.data.copy_(value)

    def set_moment(self, parameter: nn.Parameter, key: str, value: Tensor) -> None:
        self.moment(parameter, key).copy_(value)

    def clamp(self, parameter: nn.Parameter, largest: float) -> None:
        parameter.data.clamp_(max=largest)


class _Gathering(_Access):
    """Under ZeRO 1 to 3 DeepSpeed puts full tensors together, talking to the other workers."""

    def weight(self, parameter: nn.Parameter) -> Tensor:
        from deepspeed.utils import safe_get_full_fp32_param

        return safe_get_full_fp32_param(parameter)

    def moment(self, parameter: nn.Parameter, key: str) -> Tensor:
        from deepspeed.utils import safe_get_full_optimizer_state

        return safe_get_full_optimizer_state(parameter, key)


class _Sharded(_Gathering):
    """ZeRO 1 and 2: masters and moments are flat and split over workers, parameters are whole."""

    def prepare(self) -> None:
        optimizer = self.engine.optimizer
        _create_moments(self.engine, optimizer.single_partition_of_fp32_groups)
        # DeepSpeed 0.19 links parameters to their moments once, when the first group has been updated, so
        # later groups stay unlinked; linking again is idempotent.
        optimizer._hp_optimizer_states_linked = False
        optimizer._lazy_init_hp_params_optimizer_state()

    def set_weight(self, parameter: nn.Parameter, value: Tensor) -> None:
        from deepspeed.utils import safe_set_full_fp32_param

        safe_set_full_fp32_param(parameter, value.to(parameter.device))

    def set_moment(self, parameter: nn.Parameter, key: str, value: Tensor) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        safe_set_full_optimizer_state(parameter, value.to(parameter.device), key)

    def clamp(self, parameter: nn.Parameter, largest: float) -> None:
        if parameter.data.max() > largest:
            clamped = parameter.data.float().clamp(max=largest)
            parameter.data.copy_(clamped)
            self.set_weight(parameter, clamped)


class _Partitioned(_Gathering):
    """ZeRO 3: every parameter is split over workers, padded to equal parts, kept in `ds_tensor`."""

    def prepare(self) -> None:
        _create_moments(self.engine, self.engine.optimizer.fp32_partitioned_groups_flat)

    def set_weight(self, parameter: nn.Parameter, value: Tensor) -> None:
        from deepspeed.utils import safe_set_local_fp32_param

        safe_set_local_fp32_param(parameter, self._part(parameter, value))

    def set_moment(self, parameter: nn.Parameter, key: str, value: Tensor) -> None:
        from deepspeed.utils import safe_set_local_optimizer_state

        safe_set_local_optimizer_state(parameter, self._part(parameter, value), key)

    def clamp(self, parameter: nn.Parameter, largest: float) -> None:
        from deepspeed.utils import safe_get_local_fp32_param, safe_set_local_fp32_param

        part = safe_get_local_fp32_param(parameter)
        if part is not None and part.numel() and part.max() > largest:
            safe_set_local_fp32_param(parameter, part.clamp(max=largest))
        # The copies that the next forward reads follow the master; small parameters stay gathered.
        _part_of(parameter).data.clamp_(max=largest)
        if parameter.data.numel():
            parameter.data.clamp_(max=largest)

    def _part(self, parameter: nn.Parameter, value: Tensor) -> Tensor:
        # DeepSpeed's setter for full tensors fails where the size is no multiple of the worker count.
        part = _part_of(parameter)
        size = part.numel()
        padded = torch.zeros(size * dist.get_world_size())
        padded[: value.numel()] = value.flatten()
        rank = dist.get_rank()
        return padded[rank * size : (rank + 1) * size].to(part.device)


def _part_of(parameter: nn.Parameter) -> Any:
    return parameter.ds_tensor  # type: ignore[attr-defined]
