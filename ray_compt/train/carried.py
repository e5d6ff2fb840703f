"""AdamW's moments on disk: as a checkpoint has them, and as a grown stage begins with them.

    STAGE/initial/moments.safetensors    exp_avg/NAME and exp_avg_sq/NAME under open_clip's names, and updates

The second come from the predecessor's last checkpoint (`transfer.optimizer: carry`), grown by the driver.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from safetensors.torch import save_file
from torch import Tensor

from ray_compt.models.store import read_tensors
from ray_compt.storage import Place
from ray_compt.train.state import MOMENTS

UPDATES = "updates"


@dataclass(frozen=True)
class OptimizerState:
    """What AdamW knows.

    Attributes:
        moments: "exp_avg" and "exp_avg_sq" -> parameter name -> float32 tensor of full shape, on the CPU.
        updates: optimizer updates so far, Adam's t.
    """

    moments: dict[str, dict[str, Tensor]]
    updates: int


def flat(moments: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """Both moments in one mapping, as a file holds them."""
    return {f"{key}/{name}": tensor for key in MOMENTS for name, tensor in moments[key].items()}


def nested(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The inverse of `flat`."""
    return {
        key: {name.removeprefix(f"{key}/"): t for name, t in tensors.items() if name.startswith(f"{key}/")}
        for key in MOMENTS
    }


def write_carried(file: Place, state: OptimizerState) -> None:
    """Write what a stage's optimizer begins with."""
    tensors = {**flat(state.moments), UPDATES: torch.tensor([state.updates])}
    file.write(lambda path: save_file(tensors, path))


def read_carried(file: str | Place) -> OptimizerState:
    """Read it back.

    Raises:
        UserError: the file is absent or damaged.
    """
    tensors = read_tensors(file)
    return OptimizerState(nested(tensors), int(tensors[UPDATES]))
