"""The module that DeepSpeed trains: a CLIP model and, where widths differ, the maps to its teachers' spaces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ray_compt.config.schema import TrainConfig
from ray_compt.distill.loss import FeatureMaps
from ray_compt.models import build_model
from ray_compt.models.short_text import Captions
from ray_compt.train.loss import unit

LARGEST_LOGIT_SCALE = math.log(100)
MODEL_PREFIX = "clip."
# Elements that two bytes each make the 16 bytes which kernels read at once.
ALIGNED = 8


@dataclass(frozen=True)
class Features:
    """What a batch of n samples with K captions each becomes; all float32.

    Attributes:
        scale: exp(logit_scale), [1].
        image: unit vectors [n, E].
        text: unit vectors [n, K, E].
        mapped: for each teacher, image and text as unit vectors in its space, [n, E_t] and [n, K, E_t].
    """

    shared: ClassVar[int] = 1
    scale: Tensor
    image: Tensor
    text: Tensor
    mapped: tuple[tuple[Tensor, Tensor], ...] = ()

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Features:
        """From all tensors in a row: the scale, then an image and a text again and again."""
        scale, image, text, *mapped = tensors
        return cls(scale, image, text, tuple(zip(mapped[::2], mapped[1::2])))

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inverse of `of`."""
        return (self.scale, self.image, self.text, *(part for pair in self.mapped for part in pair))


class Student(nn.Module):
    """A CLIP model with its optional feature maps.

    Args:
        config: open_clip's configuration of the model.
        map_widths: for each teacher, the width that its maps lead to; None: it has none.
        seed: of the initial weights.
        checkpointing: recompute activations in the backward pass.
    """

    def __init__(
        self, config: dict, map_widths: Sequence[int | None], seed: int, *, checkpointing: bool = False
    ):
        super().__init__()
        self.clip = build_model(config, seed)
        if checkpointing:
            self.clip.set_grad_checkpointing(True)
        self._teachers = range(len(map_widths))
        self.maps = nn.ModuleDict(
            {
                str(place): FeatureMaps(config["embed_dim"], width, seed + place)
                for place, width in enumerate(map_widths)
                if width is not None
            }
        )

    def forward(self, images: Tensor, captions: Tensor | Captions) -> tuple[Tensor, ...]:
        """Embed images [n, 3, H, W] and K captions of each, tokens [n K, L] or in groups; the tensors of `Features`.

        A flat tuple, because DeepSpeed attaches its hooks to tensors that it finds in tuples.
        """
        image, text, scale = self.clip(images, captions)
        text = text.unflatten(0, (len(images), -1))
        image, text = unit(image), unit(text)
        mapped = tuple(self._mapped(str(place), image, text) for place in self._teachers)
        return Features(scale.float(), image, text, mapped).tensors

    def _mapped(self, place: str, image: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        if place not in self.maps:
            return image, text
        mapped_image, mapped_text = self.maps[place](image, text)
        return unit(mapped_image), unit(mapped_text)


def parameter_groups(student: nn.Module, weight_decay: float) -> list[dict]:
    """AdamW's two groups: matrices decay; gains, biases and the logit scale do not.

    From ZeRO 1 on, DeepSpeed lays a group's parameters one behind the other. Those of an odd size come last, or all
    that follow would lie where no fast kernel of a GPU takes them.
    """
    ordered = sorted(student.parameters(), key=lambda parameter: parameter.numel() % ALIGNED > 0)
    decayed = [parameter for parameter in ordered if parameter.ndim >= 2]
    kept = [parameter for parameter in ordered if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def make_optimizer(student: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """A stage's AdamW, fresh."""
    return torch.optim.AdamW(
        parameter_groups(student, config.weight_decay),
        lr=config.lr,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )


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
