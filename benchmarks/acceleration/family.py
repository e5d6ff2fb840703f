"""The models and the data of the experiment: sizes by letter, all of one embedding width and depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import DataConfig

EMBEDDING, CONTEXT, VOCABULARY = 64, 14, 49408


@dataclass(frozen=True)
class Family:
    """Models that differ in width alone, and the pictures that they see.

    Attributes:
        widths: channels of both towers by size.
        head: channels of an attention head.
        image_size, patch: sides of the square picture and of a patch, pixels.
        layers, text_layers: transformer blocks.
    """

    widths: dict[str, int]
    head: int
    image_size: int
    patch: int
    layers: int
    text_layers: int

    def model(self, size: str) -> dict[str, Any]:
        """open_clip's configuration."""
        width = self.widths[size]
        return {
            "embed_dim": EMBEDDING,
            "vision_cfg": {
                "image_size": self.image_size,
                "patch_size": self.patch,
                "width": width,
                "layers": self.layers,
                "head_width": self.head,
            },
            "text_cfg": {
                "context_length": CONTEXT,
                "vocab_size": VOCABULARY,
                "width": width,
                "heads": width // self.head,
                "layers": self.text_layers,
            },
        }

    def data(self, folder: str) -> DataConfig:
        """The emoji shards in `folder`."""
        return DataConfig(
            train=f"{folder}/train/*.tar",
            val=f"{folder}/val/*.tar",
            class_field="category",
            class_templates=["an emoji of {}", "a picture of {}"],
            image_size=self.image_size,
        )


# "cpu" is what the figures in docs/results.md are from; "gpu" is the same experiment where there is one.
FAMILIES = {
    "cpu": Family({"XS": 16, "S": 32, "M": 64, "L": 96}, 16, 32, 8, 4, 2),
    "gpu": Family({"XS": 192, "S": 384, "M": 512, "L": 768}, 64, 64, 8, 12, 4),
}
