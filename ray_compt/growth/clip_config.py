"""open_clip's configuration dictionaries, read with open_clip's own defaults.

Also what follows from a configuration alone: the names and shapes of its parameters, and fresh weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import open_clip
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg
from torch import Tensor

from ray_compt.errors import UserError
from ray_compt.models import build_model

_REQUIRED = ("embed_dim", "vision_cfg", "text_cfg")
_OPTIONAL = ("custom_text", "multimodal_cfg", "quick_gelu", "init_logit_scale", "init_logit_bias")


@dataclass(frozen=True)
class ClipConfig:
    """A configuration with every default filled in; `raw` is the dictionary that it was read from."""

    embed_dim: int
    vision: CLIPVisionCfg
    text: CLIPTextCfg
    custom_text: bool
    coca: bool
    quick_gelu: bool
    init_logit_bias: float | None
    raw: Mapping[str, Any]

    @property
    def text_prefix(self) -> str:
        """Before the text tower's parameter names: open_clip nests it where `custom_text` is set."""
        return "text." if self.custom_text else ""

    @property
    def image_heads(self) -> int:
        return int(self.vision.width // self.vision.head_width)

    @property
    def image_head_width(self) -> int:
        """Channels of a head: open_clip rounds the number of heads down, so it may exceed `head_width`."""
        return int(self.vision.width // self.image_heads)

    @property
    def text_head_width(self) -> int:
        return int(self.text.width // self.text.heads)

    @property
    def image_grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        (height, width), (patch_height, patch_width) = (
            pair(self.vision.image_size),
            pair(self.vision.patch_size),
        )
        return height // patch_height, width // patch_width


def pair(size: int | tuple[int, int] | list[int]) -> tuple[int, int]:
    """A height and a width from open_clip's one number or two."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def read_config(config: Mapping[str, Any]) -> ClipConfig:
    """Read `{embed_dim, vision_cfg, text_cfg, ...}`.

    Raises:
        UserError: a key is missing or unknown to the installed open_clip.
    """
    missing = set(_REQUIRED) - set(config)
    if missing:
        raise UserError(f"the model configuration lacks {', '.join(sorted(missing))}")
    _refuse_unknown(config, {*_REQUIRED, *_OPTIONAL}, "the model configuration")
    _refuse_unknown(config["vision_cfg"], {field.name for field in fields(CLIPVisionCfg)}, "vision_cfg")
    _refuse_unknown(config["text_cfg"], {field.name for field in fields(CLIPTextCfg)}, "text_cfg")
    return ClipConfig(
        embed_dim=config["embed_dim"],
        vision=CLIPVisionCfg(**config["vision_cfg"]),
        text=CLIPTextCfg(**config["text_cfg"]),
        custom_text=bool(config.get("custom_text", False) or config["text_cfg"].get("hf_model_name")),
        coca="multimodal_cfg" in config,
        quick_gelu=bool(config.get("quick_gelu", False)),
        init_logit_bias=config.get("init_logit_bias"),
        raw=config,
    )


def _refuse_unknown(given: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise UserError(
            f"unknown key {unknown[0]!r} in {where}",
            mend=f"open_clip {open_clip.__version__} knows: {sorted(known)}",
        )


def parameter_shapes(config: Mapping[str, Any]) -> dict[str, torch.Size]:
    """Names and shapes of a model's state dict, without allocating it; logit_scale is [1]."""
    with torch.device("meta"):
        return {key: value.shape for key, value in build_model(dict(config), seed=0).state_dict().items()}


def fresh_weights(config: Mapping[str, Any], seed: int, temperature: Tensor) -> dict[str, Tensor]:
    """What training from scratch with this seed starts from (`models.build_model`).

    `temperature` is another model's logit_scale, whose dtype and shape ([] or [1]) are taken over.
    """
    fresh = build_model(dict(config), seed).state_dict()
    fresh["logit_scale"] = fresh["logit_scale"].reshape(temperature.shape)
    return {key: value.to(temperature.dtype) for key, value in fresh.items()}
