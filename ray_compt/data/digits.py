"""The built-in data: the 1,797 scanned digits that ship with scikit-learn, captioned from templates.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository
(CC BY 4.0); 8x8 grey pictures.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ray_compt.data.randomness import permutation
from ray_compt.data.samples import RawSample, Shard
from ray_compt.data.source import Contents, Progress
from ray_compt.errors import UserError

PREFIX = "builtin:digits"
SPLITS = ("train", "val")
CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# {word} is "seven", {number} is "7"; the first one is the raw caption.
CAPTIONS = (
    "a scan of the digit {word}",
    "a handwritten {number}",
    "the digit {word}, written by hand",
    "a small grey picture of the number {number}",
    "somebody wrote the number {word}",
    "a scanned {word}",
)
_TRAIN_SHARE = 0.8
_SHARDS = 8


@dataclass(frozen=True)
class DigitsSource:
    """One split of the digits as 8 virtual shards; the split never changes and keeps the classes' shares."""

    split: str

    def scan(self, patterns: Sequence[str], on_progress: Progress | None = None) -> Contents:
        """The patterns are known: they chose the split."""
        rows = _shards_of(self.split)
        shards = tuple(Shard(f"{PREFIX}/{self.split}/{i}", len(part)) for i, part in enumerate(rows))
        if on_progress:
            on_progress(_SHARDS, _SHARDS)
        identity = json.dumps([CAPTIONS, [part.tolist() for part in rows]])
        return Contents(
            shards, (), CLASS_NAMES, hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        )

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        rows = _shards_of(self.split)[int(shard.path.rsplit("/", 1)[1])]
        yield from (_sample(int(row)) for row in rows[lo:hi])

    def keys(self, shard: Shard) -> list[str]:
        return [_key(row) for row in _shards_of(self.split)[int(shard.path.rsplit("/", 1)[1])]]


def digits_source(spec: str) -> DigitsSource:
    """The source of `builtin:digits/train`, `builtin:digits/val`, or `builtin:digits` (the training split).

    Raises:
        UserError: any other built-in data.
    """
    split = spec[len(PREFIX) :].lstrip("/") if spec.startswith(PREFIX) else spec
    if split not in ("", *SPLITS):
        raise UserError(
            f"unknown built-in data {spec!r}", where="data", mend=f"use {PREFIX}/train or {PREFIX}/val"
        )
    return DigitsSource(split or "train")


def _sample(row: int) -> RawSample:
    pixels, targets = _load()
    target = int(targets[row])
    captions = [text.format(word=CLASS_NAMES[target], number=target) for text in CAPTIONS]
    return RawSample(_key(row), _png(pixels[row]), captions, CLASS_NAMES[target])


def _key(row: int) -> str:
    return f"digit-{row:04d}"


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@functools.lru_cache(maxsize=1)
def _load() -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [1797, 8, 8] and classes int [1797]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # The scans count inked dots, 0 to 16.
    return np.round(digits.images * (255 / 16)).astype(np.uint8), digits.target


@functools.lru_cache(maxsize=len(SPLITS))
def _shards_of(split: str) -> tuple[np.ndarray, ...]:
    """Row numbers of each virtual shard."""
    _, targets = _load()
    chosen = []
    for target in range(len(CLASS_NAMES)):
        rows = np.flatnonzero(targets == target)
        rows = rows[permutation(len(rows), PREFIX, "split", target)]
        cut = round(_TRAIN_SHARE * len(rows))
        chosen.append(rows[:cut] if split == "train" else rows[cut:])
    rows = np.concatenate(chosen)
    return tuple(np.array_split(rows[permutation(len(rows), PREFIX, "order", split)], _SHARDS))
