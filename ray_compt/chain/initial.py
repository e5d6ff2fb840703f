"""A stage's initial weights: its predecessor's, grown."""

from __future__ import annotations

from typing import Any

from safetensors.torch import save_file

from ray_compt.chain.prepare import StagePlan
from ray_compt.errors import UserError
from ray_compt.growth import grow
from ray_compt.models import load_state
from ray_compt.storage import Place


def write_initial(
    folder: Place, plan: StagePlan, source: tuple[dict[str, Any], Place] | None, *, seed: int
) -> Place | None:
    """Grow the predecessor's weights into `folder`, once; None where a stage starts from random weights.

    Args:
        folder: the stage's folder.
        plan: the stage.
        source: the predecessor's open_clip configuration and finished folder.
        seed: of the growth's noise.

    Raises:
        UserError: the predecessor's model is missing.
    """
    if source is None or plan.growth is None:
        return None
    target = folder / "initial" / "grown.safetensors"
    if target.is_file():
        return target
    config, predecessor = source
    if not (predecessor / "model.safetensors").is_file():
        raise UserError(
            "the predecessor's model is missing",
            where=str(predecessor),
            mend="restore it from a copy, or give another --run-dir to train the chain anew",
        )
    weights = grow(
        load_state(predecessor),
        config,
        plan.model,
        operator=plan.growth,
        seed=seed + plan.number,
        noise=plan.config.transfer.noise,
    )
    tensors = {name: tensor.contiguous() for name, tensor in weights.items()}
    target.write(lambda path: save_file(tensors, path))
    return target
