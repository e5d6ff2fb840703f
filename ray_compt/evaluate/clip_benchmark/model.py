"""A model as clip_benchmark takes it: with its tokenizer and its evaluation transform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from open_clip import get_model_preprocess_cfg
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from torch import Tensor, nn

from ray_compt.models import make_tokenizer, open_pretrained


@dataclass(frozen=True)
class Subject:
    """What clip_benchmark's `load_clip` would return.

    Attributes:
        model: an open_clip CLIP, float32, in evaluation mode.
        transform: a picture -> float32 [3, H, W], resized, cropped and normalised as the model wants it.
        tokenizer: n texts -> int64 [n, L].
        device: where the model lies, `cpu` or `cuda`.
    """

    model: nn.Module
    transform: Callable[[Image.Image], Tensor]
    tokenizer: Callable[[list[str]], Tensor]
    device: str

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


def open_subject(ref: str, *, device: str, image_size: int | None = None) -> Subject:
    """Open a stage's folder or URL, or open_clip's NAME/TAG.

    Args:
        ref: as `models.open_pretrained` takes it.
        device: `cpu` or `cuda`.
        image_size: picture size, pixels; None: the model's own.

    Raises:
        UserError: as `open_pretrained`.
    """
    model, config = open_pretrained(ref, image_size)
    settings: dict[str, Any] = get_model_preprocess_cfg(model)
    transform = image_transform_v2(PreprocessCfg(**settings), is_train=False)
    return Subject(model.to(torch.device(device)), transform, make_tokenizer(config), device)
