"""WebDataset tar shards in the layout that img2dataset writes: KEY.jpg|png|webp, KEY.txt, KEY.json.

Every shard is walked once (`scan`); afterwards any run of samples is read with ranged requests (`read`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_compt.data.captions import find_captions, find_label, parse_description
from ray_compt.data.filesystem import locate, open_filesystem, read_ranges
from ray_compt.data.samples import RawSample, Shard
from ray_compt.data.scan import scan_shards
from ray_compt.data.shard_table import PARTS, Fields, ShardTable, index_shard
from ray_compt.data.source import Contents, Progress
from ray_compt.data.table_cache import cache_name, load_table, save_table, try_save
from ray_compt.errors import UserError

# Reading over a hole this small is cheaper than a second request.
_MAX_HOLE = 64 << 10


@dataclass(frozen=True)
class WebDatasetSource:
    """Tar shards; `cache` is the folder or URL of their tables, which may be missing where `read` runs."""

    cache: str
    fields: Fields

    def scan(self, patterns: Sequence[str], on_progress: Progress | None = None) -> Contents:
        return scan_shards(patterns, self.cache, self.fields, on_progress)

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        rows = _table(self.cache, shard, self.fields).slice(lo, hi - lo).to_pylist()
        places = {(row[f"{part}_offset"], row[f"{part}_size"]) for row in rows for part in PARTS}
        content = _read_places(shard.path, sorted(place for place in places if place[0] >= 0))
        for row in rows:
            image, text, description = (content.get(row[f"{part}_offset"]) for part in PARTS)
            yield self._sample(row["key"], image or b"", text, parse_description(description))

    def keys(self, shard: Shard) -> list[str]:
        found = load_table(self.cache, cache_name(shard.path, shard.stamp, self.fields))
        if found is None:
            if locate(shard.path).stamp != shard.stamp:
                raise UserError(
                    "the shard is gone or has changed, and no table of it is kept",
                    where=shard.path,
                    mend="restore the shard",
                )
            found = index_shard(shard.path, self.fields)
        _check_samples(found, shard)
        return found.rows["key"].to_pylist()

    def _sample(self, key: str, image: bytes, text: bytes | None, description: dict[str, Any]) -> RawSample:
        captions = find_captions(text, description, self.fields.captions)
        return RawSample(key, image, captions, find_label(description, self.fields.label))


@functools.lru_cache(maxsize=64)
def _table(cache: str, shard: Shard, fields: Fields) -> pa.Table:
    """A shard's table in this process: from the cache, or made anew where this node cannot see the cache."""
    name = cache_name(shard.path, shard.stamp, fields)
    found = load_table(cache, name)
    if found is None:
        found = index_shard(shard.path, fields)
        try_save(functools.partial(save_table, found, cache, name), cache)
    _check_samples(found, shard)
    return found.rows


def _check_samples(table: ShardTable, shard: Shard) -> None:
    if table.summary.samples != shard.samples:
        raise UserError(
            f"the shard has {table.summary.samples} usable samples now, {shard.samples} when the run began",
            where=shard.path,
            mend="restore the shard, or start a new run",
        )


def _read_places(path: str, places: Iterable[tuple[int, int]]) -> dict[int, bytes]:
    """Content by offset of sorted (offset, size) places, one request for each run of near neighbours."""
    runs: list[list[tuple[int, int]]] = []
    for offset, size in places:
        if runs and offset <= sum(runs[-1][-1]) + _MAX_HOLE:
            runs[-1].append((offset, size))
        else:
            runs.append([(offset, size)])
    if not runs:
        return {}
    filesystem, inner = open_filesystem(path)
    blobs = read_ranges(filesystem, inner, [(run[0][0], sum(run[-1])) for run in runs])
    return {
        offset: blob[offset - run[0][0] : offset - run[0][0] + size]
        for run, blob in zip(runs, blobs)
        for offset, size in run
    }
