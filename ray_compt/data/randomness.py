"""Random numbers that are a function of what they are for: of seed, epoch, sample key and purpose, never of a state.

Only the raw bits of Philox are used. NumPy promises those for ever, while the methods of its Generator may
change with any release, and nodes with different releases must agree on the content of a batch.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np

Part = int | str


def stream_key(*parts: Part) -> int:
    """128-bit key of the stream that belongs to `parts`; 1 and "1" are different parts."""
    text = json.dumps(parts, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def draw_epoch(epoch: int, augment_epochs: int | None) -> int:
    """The epoch as which `epoch` draws augmentation and captions: they repeat after `augment_epochs`, None: never."""
    return epoch if augment_epochs is None else epoch % augment_epochs


def seed_63(*parts: Part) -> int:
    """Seed in [0, 2^63) for generators that take one, such as torch's."""
    return stream_key(*parts) >> 65


def permutation(n: int, *parts: Part) -> np.ndarray:
    """The permutation of range(n) that belongs to `parts`, int64 [n].

    Ranks of n 64-bit words; equal words (probability below n^2 / 2^65) keep their order, which is still pure.
    """
    words = np.random.Philox(key=stream_key(*parts)).random_raw(n)
    return np.argsort(words, kind="stable").astype(np.int64, copy=False)
