"""The module that DeepSpeed trains: a CLIP model and, where widths differ, the maps to its teacher's space."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ray_compt.distill.loss import FeatureMaps
from ray_compt.models import build_model
from ray_compt.models.short_text import Captions
from ray_compt.train.loss import unit

LARGEST_LOGIT_SCALE = math.log(100)
MODEL_PREFIX = "clip."


class Features(NamedTuple):
    """What a batch of n samples with K captions each becomes; all float32.

    Attributes:
        image: unit vectors [n, E].
        text: unit vectors [n, K, E].
        scale: exp(logit_scale), [1].
        mapped_image, mapped_text: unit vectors in the teacher's space, [n, E_t] and [n, K, E_t].
    """

    image: Tensor
    text: Tensor
    scale: Tensor
    mapped_image: Tensor
    mapped_text: Tensor


class Student(nn.Module):
    """A CLIP model with its optional feature maps.

    Args:
        config: open_clip's configuration of the model.
        teacher_width: the teacher's embedding width; None or the model's own: no maps.
        seed: of the initial weights.
        checkpointing: recompute activations in the backward pass.
    """

    def __init__(self, config: dict, teacher_width: int | None, seed: int, *, checkpointing: bool = False):
        super().__init__()
        self.clip = build_model(config, seed)
        if checkpointing:
            self.clip.set_grad_checkpointing(True)
        width = config["embed_dim"]
        self.maps: FeatureMaps | None = None
        if teacher_width is not None and teacher_width != width:
            self.maps = FeatureMaps(width, teacher_width, seed)

    def forward(self, images: Tensor, captions: Tensor | Captions) -> tuple[Tensor, ...]:
        """Embed images [n, 3, H, W] and K captions of each, tokens [n K, L] or in groups.

        Returns the fields of `Features` in order.

        A tuple, because DeepSpeed attaches its hooks to tensors that it finds in tuples.
        """
        image, text, scale = self.clip(images, captions)
        text = text.unflatten(0, (len(images), -1))
        image, text = unit(image), unit(text)
        if self.maps is None:
            return image, text, scale.float(), image, text
        mapped_image, mapped_text = self.maps(image, text)
        return image, text, scale.float(), unit(mapped_image), unit(mapped_text)


def parameter_groups(student: nn.Module, weight_decay: float) -> list[dict]:
    """AdamW's two groups: matrices decay; gains, biases and the logit scale do not."""
    decayed = [parameter for parameter in student.parameters() if parameter.ndim >= 2]
    kept = [parameter for parameter in student.parameters() if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def exported(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The model's own tensors of a student's state, under open_clip's names; the maps stay behind."""
    return {
        name.removeprefix(MODEL_PREFIX): w for name, w in weights.items() if name.startswith(MODEL_PREFIX)
    }


def imported(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's names to a student's."""
    return {MODEL_PREFIX + name: weight for name, weight in weights.items()}


def load_initial(student: Student, weights: dict[str, Tensor]) -> None:
    """Copy open_clip weights into a fresh student; a scalar logit scale becomes [1]."""
    weights = {name: w.reshape(1) if w.ndim == 0 else w for name, w in weights.items()}
    with torch.no_grad():
        student.clip.load_state_dict(weights)
