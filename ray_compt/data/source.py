"""What a kind of data has to offer to be trained on.

To add one (Parquet, CSV), write a class with these methods and let `index.open_index` choose it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ray_compt.data.samples import BadSample, RawSample, Shard

# Called with (shards indexed, shards in all).
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Contents:
    """What a scan found; see `Index` for the fields."""

    shards: tuple[Shard, ...]
    bad: tuple[BadSample, ...]
    class_names: tuple[str, ...]
    digest: str


class Source(Protocol):
    """A data set of shards with random access. Picklable and small: it travels to every reading task."""

    def scan(self, patterns: Sequence[str], on_progress: Progress | None = None) -> Contents:
        """List shards, usable samples and bad samples. Raises UserError where nothing can be used.

        The patterns are no part of the source, because a list of them may be as long as that of the shards.
        """
        ...

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        """Samples [lo, hi) of a shard, in order. Raises OSError where the shard cannot be reached."""
        ...

    def keys(self, shard: Shard) -> list[str]:
        """Keys of all samples of a shard, in order, from the index where that is enough; nothing is written.

        Raises UserError or OSError where they cannot be known.
        """
        ...
