"""Shards to train on, made from a seed: photographs' sizes and captions' lengths, nobody's data."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.shards import add_member

_WORDS = """
a the of on in with two three small large red green blue yellow white black old young dog cat horse bird
tree river mountain street window table chair boat bridge child woman man people standing walking sitting
holding near behind under bright dark wooden stone quiet photograph painting drawing close-up view sunset
"""
# Words of a caption, least and most; CC3M's have 10 on average.
LENGTHS = (5, 18)
CAPTIONS = 7
QUALITY = 90


def make_shards(folder: Path, *, shards: int, samples: int, side: int, seed: int = 0) -> list[Path]:
    """Write `samples` samples into `shards` tar files, as img2dataset lays them out.

    Args:
        side: shortest side of the JPEG pictures, pixels; the other one is up to a half longer.
    """
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}.tar" for number in range(shards)]
    for number, path in enumerate(paths):
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for i in range(samples // shards):
                key = f"{number:05d}{i:04d}"
                captions = [caption(draw) for _ in range(CAPTIONS)]
                add_member(archive, f"{key}.jpg", _picture(draw, side))
                add_member(archive, f"{key}.txt", captions[0].encode())
                add_member(archive, f"{key}.json", json.dumps({"captions": captions}).encode())
    return paths


def caption(draw: np.random.Generator) -> str:
    """Words drawn at random."""
    return " ".join(draw.choice(_WORDS.split(), draw.integers(LENGTHS[0], LENGTHS[1] + 1)))


def _picture(draw: np.random.Generator, side: int) -> bytes:
    """Smooth shapes with some grain: a photograph's number of bytes for its size, about."""
    width, height = side, round(side * draw.uniform(1, 1.5))
    coarse = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    grain = draw.normal(0, 8, smooth.shape)
    picture = Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
