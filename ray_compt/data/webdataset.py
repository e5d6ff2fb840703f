"""WebDataset tar shards in the layout that img2dataset writes: KEY.jpg|png|webp, KEY.txt, KEY.json.

Every shard is walked once (`scan`); afterwards any run of samples is read with ranged requests (`read`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_compt.data.captions import find_captions, find_label, parse_description
from ray_compt.data.filesystem import Location, locate, open_filesystem, read_ranges
from ray_compt.data.patterns import find_shards
from ray_compt.data.samples import BadSample, RawSample, Shard
from ray_compt.data.shard_table import PARTS, Fields, ShardSummary, ShardTable, index_shard
from ray_compt.data.source import Contents, Progress
from ray_compt.data.spread import spread
from ray_compt.data.table_cache import cache_name, load_table, save_table
from ray_compt.errors import StorageError, UserError

logger = logging.getLogger(__name__)

# Reading over a hole this small is cheaper than a second request.
_MAX_HOLE = 64 << 10
_NAMED_BAD_PER_SHARD = 100


@dataclass(frozen=True)
class WebDatasetSource:
    """Tar shards; `cache` is the folder or URL of their tables, which may be missing where `read` runs."""

    patterns: tuple[str, ...]
    cache: str
    fields: Fields

    def scan(self, on_progress: Progress | None = None) -> Contents:
        """Raises UserError: no shard, an unreadable one, or no usable sample in any."""
        places = find_shards(self.patterns)
        shards = self._summaries(places, on_progress)
        expected = _expected_samples(places)
        bad = [
            one
            for place, shard in zip(places, shards)
            for one in _bad_samples(place.url, shard, expected.get(place.url))
        ]
        usable = tuple(
            Shard(place.url, shard.samples, place.stamp)
            for place, shard in zip(places, shards)
            if shard.samples
        )
        if not usable:
            raise _nothing_usable(places, bad, self.fields)
        identity = json.dumps([[_file_name(place.url), shard.digest] for place, shard in zip(places, shards)])
        return Contents(
            shards=usable,
            bad=tuple(bad),
            class_names=tuple(sorted({label for shard in shards for label in shard.labels})),
            digest=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
        )

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

    def _summaries(self, places: Sequence[Location], on_progress: Progress | None) -> list[ShardSummary]:
        """A summary for each place. Tables are kept in the cache only: all of them would not fit in memory."""
        names = {place.url: cache_name(place.url, place.stamp, self.fields) for place in places}
        known = {url: found.summary for url, name in names.items() if (found := load_table(self.cache, name))}
        missing = [url for url in names if url not in known]
        writable = True
        for url, found in spread(functools.partial(index_shard, fields=self.fields), missing):
            known[url] = found.summary
            writable = writable and _try_save(found, self.cache, names[url])
            if on_progress:
                on_progress(len(known), len(places))
        return [known[place.url] for place in places]


@functools.lru_cache(maxsize=64)
def _table(cache: str, shard: Shard, fields: Fields) -> pa.Table:
    """A shard's table in this process: from the cache, or made anew where this node cannot see the cache."""
    name = cache_name(shard.path, shard.stamp, fields)
    found = load_table(cache, name)
    if found is None:
        found = index_shard(shard.path, fields)
        _try_save(found, cache, name)
    _check_samples(found, shard)
    return found.rows


def _check_samples(table: ShardTable, shard: Shard) -> None:
    if table.summary.samples != shard.samples:
        raise UserError(
            f"the shard has {table.summary.samples} usable samples now, {shard.samples} when the run began",
            where=shard.path,
            mend="restore the shard, or start a new run",
        )


def _try_save(table: ShardTable, cache: str, name: str) -> bool:
    try:
        save_table(table, cache, name)
    except (OSError, StorageError) as error:
        logger.warning(
            "the index cannot be kept in %s (%s); the next start walks the shards again", cache, error
        )
        return False
    return True


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


def _expected_samples(places: Sequence[Location]) -> dict[str, int]:
    """Samples that a sizes.json beside the shards promises, by shard."""
    expected = {}
    for folder in {place.url.rpartition("/")[0] for place in places}:
        try:
            filesystem, inner = open_filesystem(f"{folder}/sizes.json")
            sizes = json.loads(filesystem.cat_file(inner))
            expected.update({f"{folder}/{name}": int(count) for name, count in sizes.items()})
        except (OSError, StorageError, ValueError, TypeError, AttributeError, RecursionError):
            continue
    return expected


def _bad_samples(url: str, shard: ShardSummary, expected: int | None) -> list[BadSample]:
    """The shard's bad samples: named ones, then those missing without a name, then a shard without samples."""
    bad = list(shard.bad[:_NAMED_BAD_PER_SHARD])
    for reason, count in Counter(one.reason for one in shard.bad[_NAMED_BAD_PER_SHARD:]).items():
        bad.append(BadSample("", url, reason, count))
    if expected is None:
        bad += shard.damage
    elif (lost := expected - shard.samples - len(shard.bad)) > 0:
        why = f": {shard.damage[0].reason}" if shard.damage else ""
        bad.append(
            BadSample("", url, f"{lost} of the {expected} samples in sizes.json are missing{why}", lost)
        )
    if not shard.samples and not bad:
        bad.append(BadSample("", url, "empty shard"))
    return bad


def _nothing_usable(places: Sequence[Location], bad: Sequence[BadSample], fields: Fields) -> UserError:
    reasons: Counter[str] = Counter()
    for one in bad:
        reasons[one.reason.partition(" (")[0]] += one.count
    commonest, count = reasons.most_common(1)[0]
    where = places[0].url if len(places) == 1 else f"{places[0].url} and {len(places) - 1} more"
    if commonest == "no caption":
        return UserError(
            f"none of the {count} pictures has a caption",
            where=where,
            mend=f"put captions into KEY.txt, or into KEY.json and its field's name into data.caption_field "
            f"({fields.captions!r} now)",
        )
    return UserError(
        f"no usable sample in {len(places)} shards; most often: {commonest}",
        where=where,
        mend="shards hold KEY.jpg (or png, webp) with KEY.txt or KEY.json for every sample",
    )


def _file_name(url: str) -> str:
    return url.rpartition("/")[2]
