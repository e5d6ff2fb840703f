"""A digest of the samples that a batch holds, the same in any order and however the batch is shared out.

Every sample has two 64-bit words, hashed from its shard's number in the index and its key; the digest of a
batch is the sum of its samples' words modulo 2^64 (AdHash: Bellare and Micciancio, A New Paradigm for
Collision-Free Hashing, 1997). So workers add up their own rows, and the sum over workers is the batch's. It is
meant for accidents, which it misses with probability 2^-128, not for forgers.

The shard's number, and not its path or name, makes equal keys in different shards different samples and equal
shards in another place the same ones: `Index.digest` fixes the numbers.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence

import numpy as np

Words = tuple[int, int]

PARTS = 4
_HALF = 1 << 32
_FULL = 1 << 64


def sample_words(shard: int, key: str) -> Words:
    """The two words, each in [0, 2^64), of the sample `key` in shard number `shard` of the index."""
    low, high = struct.unpack("<QQ", _hash(shard, key))
    return low, high


def shard_words(shard: int, keys: Iterable[str]) -> np.ndarray:
    """uint64 [n, 2]: `sample_words` of n samples of a shard."""
    hashes = b"".join([_hash(shard, key) for key in keys])
    return np.frombuffer(hashes, dtype="<u8").reshape(-1, 2)


def total(first: np.ndarray, second: np.ndarray) -> Words:
    """The digest of samples whose words are uint64 [n] and [n]."""
    # NumPy's unsigned sums wrap at 2^64, as ours do.
    return int(first.sum(dtype=np.uint64)), int(second.sum(dtype=np.uint64))


def to_parts(words: Words) -> list[int]:
    """Both words as `PARTS` numbers below 2^32, which doubles hold and add up exactly (for 2^21 workers)."""
    return [part for word in words for part in (word % _HALF, word // _HALF)]


def from_parts(parts: Sequence[float]) -> Words:
    """The words whose parts, summed over workers, are `parts`."""
    low, low_carry, high, high_carry = map(int, parts)
    return (low + low_carry * _HALF) % _FULL, (high + high_carry * _HALF) % _FULL


def to_text(words: Words) -> str:
    """32 hexadecimal digits, as they stand in metrics.jsonl."""
    return f"{words[0]:016x}{words[1]:016x}"


def _hash(shard: int, key: str) -> bytes:
    return hashlib.blake2b(f"{shard}/{key}".encode(), digest_size=16).digest()
