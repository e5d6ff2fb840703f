"""What the examples work on: drawn shapes as WebDataset shards, and models small enough for them.

Nothing to run here; each example makes its data with this. The shards have img2dataset's layout, so an example runs on
your own once `train` and `val` name them.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {"red": (220, 50, 40), "green": (60, 170, 70), "blue": (50, 90, 210), "yellow": (230, 200, 60)}
SHAPES = ("circle", "square", "triangle")
SIDE = 16
TRAIN, VAL, PER_SHARD = 256, 64, 64


def main_folder() -> Path:
    """Where an example writes: the folder on its command line, else a new temporary one."""
    return Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="shapes-"))


def write_shards(folder: Path) -> None:
    """Draw 256 pictures into folder/train-00000.tar to -00003.tar, and 64 others into folder/val-00000.tar."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, samples in (("train", TRAIN), ("val", VAL)):
        random = np.random.default_rng(samples)
        for shard in range(samples // PER_SHARD):
            with tarfile.open(folder / f"{split}-{shard:05d}.tar", "w") as tar:
                for number in range(PER_SHARD):
                    _add_sample(tar, f"{shard:05d}{number:04d}", random)


def model(width: int, layers: int = 1) -> dict[str, Any]:
    """open_clip's configuration of a model for these pictures, both towers `width` (a multiple of 16) wide."""
    return {
        "embed_dim": 32,
        "vision_cfg": {
            "image_size": SIDE,
            "patch_size": 4,
            "width": width,
            "layers": layers,
            "head_width": 16,
        },
        "text_cfg": {
            "context_length": 12,
            "vocab_size": 49408,
            "width": width,
            "heads": width // 16,
            "layers": layers,
        },
    }


def chain(shards: Path, stages: list[dict[str, Any]], **sections: Any) -> dict[str, Any]:
    """The content of a chain file, as YAML would have it; `sections` are added to it."""
    return {
        "name": "shapes",
        "data": {
            "train": f"{shards}/train-*.tar",
            "val": f"{shards}/val-*.tar",
            "image_size": SIDE,
            "class_field": "class",
            "class_templates": ["a picture of a {}"],
            "lanes": 4,
        },
        "train": {"global_batch": 32, "lr": 2.0e-3, "warmup_steps": 2, "checkpoint_every": 100},
        "stages": stages,
        **sections,
    }


def _add_sample(tar: tarfile.TarFile, key: str, random: np.random.Generator) -> None:
    colour, shape = random.choice(list(COLOURS)), random.choice(SHAPES)
    name = f"{colour} {shape}"
    described = {"captions": [f"a {name} on grey", f"the {shape} is {colour}"], "class": name}
    members = {
        "png": _picture(str(colour), str(shape), random),
        "txt": f"a picture of a {name}".encode(),
        "json": json.dumps(described).encode(),
    }
    for ending, content in members.items():
        member = tarfile.TarInfo(f"{key}.{ending}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))


def _picture(colour: str, shape: str, random: np.random.Generator) -> bytes:
    picture = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    draw, (left, top) = ImageDraw.Draw(picture), random.integers(0, SIDE // 2, 2).tolist()
    right, bottom = left + SIDE // 2, top + SIDE // 2
    if shape == "circle":
        draw.ellipse((left, top, right, bottom), fill=COLOURS[colour])
    elif shape == "square":
        draw.rectangle((left, top, right, bottom), fill=COLOURS[colour])
    else:
        draw.polygon(((left, bottom), (right, bottom), ((left + right) // 2, top)), fill=COLOURS[colour])
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
