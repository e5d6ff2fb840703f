"""What a stage begins with: its predecessor's weights, grown, and where it is asked for AdamW's moments.

A first stage may have a model from outside for a predecessor, which has no moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from safetensors.torch import save_file

from ray_compt.chain.prepare import StagePlan
from ray_compt.errors import UserError
from ray_compt.growth import grow, grow_moments
from ray_compt.models import load_state
from ray_compt.models.store import weights_file
from ray_compt.storage import Place, open_place
from ray_compt.train.carried import OptimizerState, write_carried
from ray_compt.train.checkpoint import read_final_optimizer
from ray_compt.train.student import exported


@dataclass(frozen=True)
class Predecessor:
    """A finished stage, or a model from outside the chain.

    Attributes:
        model: open_clip's configuration.
        folder: the stage's, or the model's.
        steps: that it took; 0 for a model from outside.
    """

    model: dict[str, Any]
    folder: Place
    steps: int


@dataclass(frozen=True)
class Initial:
    """Files of a stage's beginning; without moments the optimizer starts fresh."""

    weights: Place
    moments: Place | None


def write_initial(folder: Place, plan: StagePlan, source: Predecessor | None, *, seed: int) -> Initial | None:
    """Grow the predecessor into `folder`, once; None where a stage starts from random weights.

    Args:
        folder: the stage's folder.
        plan: the stage.
        source: the stage before.
        seed: of the growth's noise.

    Raises:
        UserError: the predecessor's model is missing, or its last checkpoint where its moments are carried.
    """
    if source is None or plan.growth is None:
        return None
    weights, moments = folder / "initial" / "grown.safetensors", folder / "initial" / "moments.safetensors"
    if not weights.is_file():
        _write_weights(weights, plan, source, plan.growth, seed + plan.number)
    if plan.carries and not moments.is_file():
        _write_moments(moments, plan, source, plan.growth, seed + plan.number)
    return Initial(weights, moments if plan.carries else None)


def outside_predecessor(plan: StagePlan) -> Predecessor | None:
    """The model from outside that a first stage begins with; None where it has none."""
    folder = plan.config.transfer.init_folder
    if folder is None or plan.init is None:
        return None
    return Predecessor(plan.init, open_place(folder), 0)


def _write_weights(target: Place, plan: StagePlan, source: Predecessor, operator: str, seed: int) -> None:
    weights = _weights(source)
    # Only from outside: within a chain, sizes ascend.
    if source.model != plan.model:
        weights = grow(
            weights,
            source.model,
            plan.model,
            operator=operator,
            seed=seed,
            noise=plan.config.transfer.noise,
        )
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    target.write(lambda path: save_file(tensors, path))


def _write_moments(target: Place, plan: StagePlan, source: Predecessor, operator: str, seed: int) -> None:
    found = read_final_optimizer(source.folder / "checkpoints", source.steps)
    first, second = (exported(found.moments[key]) for key in ("exp_avg", "exp_avg_sq"))
    grown = grow_moments((first, second), _weights(source), source.model, plan.model, operator, seed)
    moments = {"exp_avg": dict(grown[0]), "exp_avg_sq": dict(grown[1])}
    write_carried(target, OptimizerState(moments, found.updates))


def _weights(source: Predecessor) -> dict[str, Any]:
    if not weights_file(source.folder).is_file():
        raise UserError(
            "the predecessor's model is missing",
            where=str(source.folder),
            mend="restore it from a copy, or give another --run-dir to train the chain anew",
        )
    return load_state(source.folder)
