"""The shards of a data set looked up: known ones from the cache, new ones by a walk."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ray_compt.data.filesystem import Location, open_filesystem
from ray_compt.data.patterns import find_shards
from ray_compt.data.samples import BadSample, Shard, count_reasons
from ray_compt.data.shard_table import Fields, ShardSummary, index_shard
from ray_compt.data.source import Contents, Progress
from ray_compt.data.spread import in_threads, spread
from ray_compt.data.summary import Known, ShardFacts, load_summary, save_summary, shard_facts, summary_name
from ray_compt.data.table_cache import cache_name, load_table_summary, save_table, try_save
from ray_compt.errors import StorageError, UserError

# Further bad samples stand in the index as one entry a shard.
NAMED_BAD = 10_000


def scan_shards(
    patterns: Sequence[str], cache: str, fields: Fields, on_progress: Progress | None = None
) -> Contents:
    """What the shards hold that `patterns` name. Only facts about shards are kept, none about single good samples.

    Args:
        patterns: as `patterns.find_shards` takes them.
        cache: folder or URL of the tables and the summary.
        fields: what is looked for.
        on_progress: called as new shards are walked.

    Raises:
        UserError: no shard, an unreadable one, or no usable sample in any.
    """
    places = find_shards(patterns)
    stamps = {place.url: place.stamp for place in places}
    known = _Lookup(cache, fields, stamps, summary_name(patterns, fields)).known(on_progress)
    facts = [known.facts[place.url] for place in places]
    expected = _expected_samples(places)
    bad = tuple(
        _bounded(
            (place.url, _bad_samples(place.url, shard, expected.get(place.url)))
            for place, shard in zip(places, facts)
        )
    )
    usable = tuple(
        Shard(place.url, shard.samples, place.stamp) for place, shard in zip(places, facts) if shard.samples
    )
    if not usable:
        raise _nothing_usable(places, bad, fields)
    identity = json.dumps([[_file_name(place.url), shard.digest] for place, shard in zip(places, facts)])
    return Contents(
        shards=usable,
        bad=bad,
        class_names=tuple(sorted(known.labels)),
        digest=hashlib.blake2b(identity.encode(), digest_size=16).hexdigest(),
    )


@dataclass(frozen=True)
class _Lookup:
    """Finds out about the shards of `stamps` (by path), from the quickest source that knows them."""

    cache: str
    fields: Fields
    stamps: Mapping[str, str]
    name: str

    def known(self, on_progress: Progress | None) -> Known:
        known = load_summary(self.cache, self.name, self.stamps, self.fields)
        if len(known.facts) == len(self.stamps):
            return known
        self._from_tables(known)
        if self._walk(known, on_progress):
            try_save(functools.partial(save_summary, self.cache, self.name, self.stamps, known), self.cache)
        return known

    def _from_tables(self, known: Known) -> None:
        """Add what tables say that an earlier scan has left, one small read each."""
        missing = {self._table(path): path for path in self._missing(known)}
        for name, found in in_threads(functools.partial(load_table_summary, self.cache), list(missing)):
            if found is not None:
                _add(known, missing[name], found)

    def _walk(self, known: Known, on_progress: Progress | None) -> bool:
        """Walk the others, and keep their tables in the cache only; whether it takes them."""
        writable = True
        for path, table in spread(functools.partial(index_shard, fields=self.fields), self._missing(known)):
            _add(known, path, table.summary)
            writable = writable and try_save(
                functools.partial(save_table, table, self.cache, self._table(path)), self.cache
            )
            if on_progress:
                on_progress(len(known.facts), len(self.stamps))
        return writable

    def _missing(self, known: Known) -> list[str]:
        return [path for path in self.stamps if path not in known.facts]

    def _table(self, path: str) -> str:
        return cache_name(path, self.stamps[path], self.fields)


def _add(known: Known, path: str, summary: ShardSummary) -> None:
    known.facts[path] = shard_facts(summary)
    known.labels.update(summary.labels)


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


def _bad_samples(url: str, shard: ShardFacts, expected: int | None) -> list[BadSample]:
    """The shard's bad samples: named ones, then those missing without a name, then a shard without samples."""
    bad = list(shard.bad)
    if expected is None:
        bad += shard.damage
    elif (lost := expected - shard.samples - _count(bad)) > 0:
        why = f": {shard.damage[0].reason}" if shard.damage else ""
        bad.append(
            BadSample("", url, f"{lost} of the {expected} samples in sizes.json are missing{why}", lost)
        )
    if not shard.samples and not bad:
        bad.append(BadSample("", url, "empty shard"))
    return bad


def _bounded(shards: Iterable[tuple[str, list[BadSample]]]) -> Iterator[BadSample]:
    """The bad samples of all shards (path, its bad samples); from `NAMED_BAD` on, one entry a shard."""
    named = 0
    for path, bad in shards:
        if named + len(bad) <= NAMED_BAD or len(bad) < 2:
            named += len(bad)
            yield from bad
        else:
            count = _count(bad)
            yield BadSample(
                "", path, f"{count} samples cannot be used, most often: {_commonest(bad)[0]}", count
            )


def _commonest(bad: Iterable[BadSample]) -> tuple[str, int]:
    """The commonest reason, without its particulars, and how many samples have it."""
    return count_reasons(bad).most_common(1)[0]


def _count(bad: Iterable[BadSample]) -> int:
    return sum(one.count for one in bad)


def _nothing_usable(places: Sequence[Location], bad: Sequence[BadSample], fields: Fields) -> UserError:
    commonest, count = _commonest(bad)
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
