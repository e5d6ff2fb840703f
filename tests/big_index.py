"""Indexes of data sets that nobody has to store: shard files without content, and what an index knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ray_compt.data.filesystem import locate
from ray_compt.data.samples import BadSample, RawSample, Shard
from ray_compt.data.shard_table import PARTS, SCHEMA, Fields, ShardSummary, ShardTable
from ray_compt.data.table_cache import cache_name, save_table

FIELDS = Fields("captions", "category")


@dataclass(frozen=True)
class Simulated:
    """A source whose keys follow from the number of the sample and whose pictures are empty."""

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        yield from (RawSample(key, b"", ["c"]) for key in self.keys(shard)[lo:hi])

    def keys(self, shard: Shard) -> list[str]:
        return [f"{i:09d}" for i in range(shard.samples)]


def empty_shards(folder: Path, count: int) -> list[Path]:
    """`count` files without content."""
    folder.mkdir(parents=True)
    paths = [folder / f"{number:06d}.tar" for number in range(count)]
    for path in paths:
        path.touch()
    return paths


def fabricate_tables(paths: list[Path], per_shard: int, cache: Path) -> list[ShardSummary]:
    """Keep a table of `per_shard` samples for each shard, as a walk would have left it; returns the summaries.

    Every third shard has lost a sample; the shards' classes take turns.
    """
    columns = {name: pa.array(range(per_shard), pa.int64()) for name in SCHEMA.names[1:]}
    rows = pa.table({"key": [f"{i:09d}" for i in range(per_shard)], **columns}, schema=SCHEMA)
    assert rows.num_columns == 1 + 2 * len(PARTS)
    summaries = []
    for number, path in enumerate(paths):
        bad = (BadSample(f"{per_shard:09d}", str(path), "no caption"),) if number % 3 == 0 else ()
        summary = ShardSummary(per_shard, f"{number:032x}", bad, (), (f"class {number % 7}",))
        save_table(
            ShardTable(rows, summary), str(cache), cache_name(str(path), locate(str(path)).stamp, FIELDS)
        )
        summaries.append(summary)
    return summaries
