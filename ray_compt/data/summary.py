"""What the driver keeps of every shard, and the one file in which it lies ready for the next start.

    index/shards-HASH.summary    blake2b of the rest, then an Arrow table: a row a shard, the class names beside it

HASH names the shards' patterns and the fields that were looked for. A shard that changed has another stamp, so its
row is not used; a file that is damaged, or of another format, is not used at all. Either costs time, nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from ray_compt.data.samples import BadSample
from ray_compt.data.shard_table import FORMAT as TABLE_FORMAT
from ray_compt.data.shard_table import Fields, ShardSummary
from ray_compt.data.table_cache import DAMAGE, save_file, table_bytes
from ray_compt.storage import open_place

FORMAT = 1
NAMED_BAD_PER_SHARD = 100
_SEAL_BYTES = 16
_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("stamp", pa.string()),
        ("samples", pa.int64()),
        ("digest", pa.string()),
        ("bad", pa.string()),
        ("damage", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class ShardFacts:
    """A shard in the driver's memory: `ShardSummary` without what may be as long as the shard.

    Attributes:
        samples, digest: as there.
        bad: samples left out; the first `NAMED_BAD_PER_SHARD` by name, the others counted by reason.
        damage: of the archive, likewise.
    """

    samples: int
    digest: str
    bad: tuple[BadSample, ...] = ()
    damage: tuple[BadSample, ...] = ()


@dataclass(frozen=True)
class Known:
    """What is known of shards without walking them.

    Attributes:
        facts: by path.
        labels: class names that occur in them.
    """

    facts: dict[str, ShardFacts]
    labels: set[str]


def shard_facts(summary: ShardSummary) -> ShardFacts:
    return ShardFacts(summary.samples, summary.digest, _brief(summary.bad), _brief(summary.damage))


def _brief(bad: Sequence[BadSample]) -> tuple[BadSample, ...]:
    named, rest = bad[:NAMED_BAD_PER_SHARD], bad[NAMED_BAD_PER_SHARD:]
    counts = Counter(one.reason for one in rest).most_common()
    more = [BadSample("", rest[0].shard, reason, count) for reason, count in counts[:NAMED_BAD_PER_SHARD]]
    if others := sum(count for _, count in counts[NAMED_BAD_PER_SHARD:]):
        more.append(BadSample("", rest[0].shard, "other damage", others))
    return (*named, *more)


def summary_name(patterns: Sequence[str], fields: Fields) -> str:
    """File name of the summary of what `patterns` name."""
    identity = json.dumps([FORMAT, TABLE_FORMAT, list(patterns), asdict(fields)])
    return f"shards-{hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()}.summary"


def save_summary(cache: str, name: str, stamps: Mapping[str, str], known: Known) -> None:
    """Write the summary into the folder or URL `cache`, whole or not at all.

    Args:
        cache: folder or URL.
        name: of `summary_name`.
        stamps: of each shard by path, in order.
        known: of all of them.

    Raises:
        OSError, StorageError: `cache` cannot be written.
    """
    facts = [known.facts[path] for path in stamps]
    columns = {
        "path": list(stamps),
        "stamp": list(stamps.values()),
        "samples": [one.samples for one in facts],
        "digest": [one.digest for one in facts],
        "bad": [_to_text(one.bad) for one in facts],
        "damage": [_to_text(one.damage) for one in facts],
    }
    described = _SCHEMA.with_metadata({"labels": json.dumps(sorted(known.labels))})
    content = table_bytes(pa.Table.from_pydict(columns, schema=described), compression="zstd")
    save_file(_seal(content) + content, cache, name)


def load_summary(cache: str, name: str, stamps: Mapping[str, str], fields: Fields) -> Known:
    """What the summary `name` says of shards whose path and stamp are in `stamps`; nothing where it is damaged."""
    try:
        content = (open_place(cache) / name).read_bytes()
        seal, content = content[:_SEAL_BYTES], content[_SEAL_BYTES:]
        if seal != _seal(content):
            return Known({}, set())
        table = pa.ipc.open_file(pa.py_buffer(content)).read_all()
        labels = set(json.loads(table.schema.metadata[b"labels"]))
        rows = zip(*(column.to_pylist() for column in table.select(_SCHEMA.names).columns))
        facts = {
            path: ShardFacts(samples, digest, _from_text(path, bad), _from_text(path, damage))
            for path, stamp, samples, digest, bad, damage in rows
            if stamps.get(path) == stamp
        }
    except DAMAGE:
        return Known({}, set())
    # Which class names came from a shard that has changed or gone, only the tables of the others can tell.
    if fields.label is not None and len(facts) < len(table):
        return Known({}, set())
    return Known(facts, labels)


def _seal(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SEAL_BYTES).digest()


def _to_text(bad: Sequence[BadSample]) -> str | None:
    return json.dumps([[one.key, one.reason, one.count] for one in bad]) if bad else None


def _from_text(path: str, text: str | None) -> tuple[BadSample, ...]:
    return tuple(BadSample(key, path, reason, count) for key, reason, count in json.loads(text or "[]"))
