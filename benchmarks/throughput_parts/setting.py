"""What all contenders train: the same model, pictures, captions, batch and number of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

VOCABULARY = 49408


@dataclass(frozen=True)
class Setting:
    """One comparison.

    Attributes:
        width, layers: of the image tower.
        text_width, text_layers: of the text tower.
        patch, image_size: sides, pixels.
        context: tokens of a caption, padding included; 77 is what all of open_clip's models have.
        stored: shortest side of the pictures in the shards, pixels.
        samples, shards: of the training data that is made.
        batch: the global batch.
        steps: optimizer steps of a run.
        skipped: leading steps that no rate counts: what was read while a trainer started is not reading speed.
        repeats: alternating runs.
        head, embed: width of a head, and of the features.
        gpu: train on one GPU in bf16, instead of on CPUs in fp32.
        compiled: with torch.compile.
    """

    width: int
    layers: int
    text_width: int
    text_layers: int
    patch: int
    image_size: int
    context: int
    stored: int
    samples: int
    shards: int
    batch: int
    steps: int
    skipped: int
    repeats: int
    head: int = 32
    embed: int = 128
    gpu: bool = False
    compiled: bool = False

    @property
    def model(self) -> dict[str, Any]:
        """open_clip's configuration."""
        return model_config(self, self.width, self.layers, self.text_width)

    @property
    def teacher(self) -> dict[str, Any]:
        """The predecessor of `model`: half as wide."""
        return model_config(self, self.width // 2, self.layers, self.text_width // 2)


def model_config(setting: Setting, width: int, layers: int, text_width: int) -> dict[str, Any]:
    return {
        "embed_dim": setting.embed,
        "vision_cfg": {
            "image_size": setting.image_size,
            "patch_size": setting.patch,
            "width": width,
            "layers": layers,
            "head_width": setting.head,
        },
        "text_cfg": {
            "context_length": setting.context,
            "vocab_size": VOCABULARY,
            "width": text_width,
            "heads": text_width // setting.head,
            "layers": setting.text_layers,
        },
    }


FULL = Setting(
    width=256,
    layers=6,
    text_width=256,
    text_layers=4,
    patch=16,
    image_size=112,
    context=77,
    stored=256,
    samples=2048,
    shards=8,
    batch=64,
    steps=28,
    skipped=8,
    repeats=5,
)
QUICK = Setting(
    width=128,
    layers=4,
    text_width=128,
    text_layers=2,
    patch=8,
    image_size=64,
    context=77,
    stored=128,
    samples=512,
    shards=4,
    batch=32,
    steps=24,
    skipped=6,
    repeats=2,
)
# ViT-B/16 at 224 pixels, as open_clip has it.
GPU = Setting(
    width=768,
    layers=12,
    text_width=512,
    text_layers=12,
    patch=16,
    image_size=224,
    context=77,
    stored=256,
    samples=4096,
    shards=16,
    batch=256,
    steps=60,
    skipped=20,
    repeats=3,
    head=64,
    embed=512,
    gpu=True,
)
