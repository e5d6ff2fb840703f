"""A model and a chain small enough for every test."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

from PIL import Image

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def small_model(width: int) -> dict[str, Any]:
    """An inline configuration whose image tower is `width` wide."""
    return {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": width, "layers": 1, "head_width": 16},
        "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }


def small_chain() -> dict[str, Any]:
    """The content of a chain file of two stages on the digits."""
    return {
        "name": "tiny",
        "data": {
            "train": "builtin:digits/train",
            "val": "builtin:digits/val",
            "image_size": 16,
            "lanes": 4,
            "class_templates": ["the digit {}"],
        },
        "train": {"global_batch": 16},
        "workers": {"min": 1, "max": 2},
        "stages": [
            {"name": "small", "model": small_model(32), "epochs": 4},
            {"name": "large", "model": small_model(64), "epochs": 1},
        ],
    }


def write_shard(file: Path, samples: int) -> Path:
    """A tar shard of grey pictures with captions."""
    with tarfile.open(file, "w") as tar:
        for number in range(samples):
            buffer = io.BytesIO()
            Image.new("L", (8, 8), number % 256).save(buffer, "PNG")
            for ending, content in (("png", buffer.getvalue()), ("txt", f"shade {number}".encode())):
                member = tarfile.TarInfo(f"{number:03d}.{ending}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return file
