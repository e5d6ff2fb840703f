"""The family of the paper: its names and sizes. Add a size here; nothing here imports torch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import ModelChoice

OPEN_CLIP_PREFIX = "open_clip:"
HEAD_WIDTH = 64
CONTEXT_LENGTH = 77
VOCAB_SIZE = 49408


@dataclass(frozen=True)
class FamilySize:
    """One size: a ViT with patch 16 and a text transformer of 12 layers, all heads 64 wide.

    Source: CoM-PT (arXiv 2604.12391), the model table and the configurations of its released code.
    """

    vision_width: int
    vision_layers: int
    text_width: int
    embed_dim: int = 512

    def config(self) -> dict[str, Any]:
        """open_clip's configuration dictionary of this size, at 224 x 224."""
        return {
            "embed_dim": self.embed_dim,
            "vision_cfg": {
                "image_size": 224,
                "layers": self.vision_layers,
                "width": self.vision_width,
                "head_width": HEAD_WIDTH,
                "patch_size": 16,
            },
            "text_cfg": {
                "context_length": CONTEXT_LENGTH,
                "vocab_size": VOCAB_SIZE,
                "width": self.text_width,
                "heads": self.text_width // HEAD_WIDTH,
                "layers": 12,
            },
        }


FAMILY: dict[str, FamilySize] = {
    "N": FamilySize(192, 6, 256),
    "T": FamilySize(192, 12, 256),
    "C": FamilySize(256, 12, 320),
    "S": FamilySize(384, 12, 384),
    "M": FamilySize(512, 12, 448),
    "B": FamilySize(768, 12, 512),
    "BL": FamilySize(1024, 12, 768, embed_dim=768),
    "L": FamilySize(1024, 24, 768),
}


def family_letter(name: str) -> str | None:
    """The letter of a family name (`S` and `ViT-S-16` give `S`); None for every other name."""
    return next((letter for letter in FAMILY if name in (letter, f"ViT-{letter}-16")), None)


def family_names() -> list[str]:
    """Full names, ascending."""
    return [f"ViT-{letter}-16" for letter in FAMILY]


def model_name(choice: ModelChoice) -> str:
    """A short name for people, usable as a folder's name.

    The family's letters become full names (`S` -> `ViT-S-16`); an inline configuration is named after its
    image tower (`ViT-48x4-8`: width x layers - patch). Nothing is checked here.
    """
    if isinstance(choice, str):
        letter = family_letter(choice)
        return f"ViT-{letter}-16" if letter else choice.replace(":", "-").replace("/", "-")
    vision = choice.get("vision_cfg")
    vision = vision if isinstance(vision, dict) else {}
    if vision.get("timm_model_name"):
        return str(vision["timm_model_name"]).replace(":", "-").replace("/", "-")
    # What open_clip's CLIPVisionCfg takes where the key is left out.
    width, layers = vision.get("width", 768), vision.get("layers", 12)
    if isinstance(layers, (list, tuple)):
        return f"ResNet-{width}x{'.'.join(map(str, layers))}"
    return f"ViT-{width}x{layers}-{vision.get('patch_size', 16)}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word`, or None where none is close."""
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def meant(word: str, known: Iterable[str]) -> str:
    """The question whether the nearest known word was meant, with a space behind it; empty where none is close."""
    near = nearest(word, known)
    return f"did you mean {near}? " if near else ""
