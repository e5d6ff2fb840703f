"""What one pass over a tar shard finds: a row for every usable sample, a reason for every other.

The rows hold byte offsets, so that a window is read later with one ranged request. A change of the columns or
of what counts as usable needs a new `FORMAT`: tables cached before it are then ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

import pyarrow as pa

from ray_compt.data.captions import find_captions, find_label, parse_description
from ray_compt.data.filesystem import open_file, open_filesystem
from ray_compt.data.samples import BadSample
from ray_compt.data.tar import Damage, Member, walk
from ray_compt.errors import UserError

FORMAT = 1
# WebDataset's rule: the key goes up to the first dot of the file name.
_NAME = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", re.DOTALL)
_ENDINGS = {"jpg": "image", "jpeg": "image", "png": "image", "webp": "image", "txt": "text", "json": "json"}
_READ_AHEAD = 8 << 20
_MAX_TEXT = 1 << 20
_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZ": "bzip2", b"\xfd7": "xz", b"(\xb5": "zstd"}
PARTS = ("image", "text", "json")
SCHEMA = pa.schema(
    [("key", pa.string()), *((f"{part}_{what}", pa.int64()) for part in PARTS for what in ("offset", "size"))]
)


@dataclass(frozen=True)
class Fields:
    """The JSON fields in which captions and classes are looked for; part of a table's identity."""

    captions: str = "captions"
    label: str | None = None


@dataclass(frozen=True)
class ShardSummary:
    """What the driver keeps of a shard.

    Attributes:
        samples: usable samples.
        digest: hash of their keys and places.
        bad: samples left out.
        damage: harm to the archive that no sample in `bad` already stands for.
        labels: class names that occur.
    """

    samples: int
    digest: str
    bad: tuple[BadSample, ...] = ()
    damage: tuple[BadSample, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardTable:
    """Index of one shard.

    Attributes:
        rows: columns `SCHEMA`, a row a usable sample in the order of the archive; an absent part has offset -1.
        summary: what is known of the shard as a whole.
    """

    rows: pa.Table
    summary: ShardSummary


@dataclass
class _Sample:
    parts: dict[str, Member] = field(default_factory=dict)
    captions: bool = False
    doubled: bool = False


def index_shard(path: str, fields: Fields = Fields()) -> ShardTable:
    """Read a tar shard once and list its samples. Pure but for the reading; safe to run anywhere.

    Raises:
        UserError: the shard cannot be read, or is compressed as a whole, so that no sample can be reached alone.
    """
    with opened_shard(path) as (file, size):
        return _Indexer(path, fields, file).run(size)


@contextmanager
def opened_shard(path: str) -> Iterator[tuple[BinaryIO, int]]:
    """A shard to read in, and its length in bytes.

    Raises:
        UserError: as `index_shard`.
    """
    filesystem, inner = open_filesystem(path)
    try:
        size = int(filesystem.info(inner)["size"])
        with open_file(filesystem, inner, _READ_AHEAD) as file:
            compression = _COMPRESSED.get(file.read(2))
            if compression:
                raise UserError(
                    f"the shard is compressed with {compression}; samples of it cannot be read singly",
                    where=path,
                    mend="store it as a plain .tar; pictures are compressed already",
                )
            yield file, size
    except OSError as error:
        raise UserError(
            f"cannot read the shard: {error}", where=path, mend="check that it is whole and readable"
        ) from error


class _Indexer:
    """Collects the members of one shard into samples."""

    def __init__(self, path: str, fields: Fields, file: BinaryIO):
        self.path, self.fields, self.file = path, fields, file
        self.samples: dict[str, _Sample] = {}
        self.labels: set[str] = set()
        self.damage: list[tuple[Damage, str | None]] = []

    def run(self, size: int) -> ShardTable:
        key = None
        waiting: list[Damage] = []
        for found in walk(self.file, size):
            if isinstance(found, Damage):
                self._note(found, key)
                waiting.append(found)
                continue
            key = self._add(found) or key
            self.damage += [(damage, key) for damage in waiting]
            waiting = []
        return self._table()

    def _note(self, damage: Damage, previous_key: str | None) -> None:
        key, ending = split_name(damage.name)
        if key is not None and ending in _ENDINGS:
            self.samples.setdefault(key, _Sample())
        self.damage.append((damage, key or previous_key))

    def _add(self, member: Member) -> str | None:
        key, ending = split_name(member.name)
        part = _ENDINGS.get(ending)
        if key is None or part is None:
            return key
        sample = self.samples.setdefault(key, _Sample())
        if part in sample.parts:
            sample.doubled = True
            return key
        sample.parts[part] = member
        if part != "image" and member.size <= _MAX_TEXT:
            self._read_text(sample, part, member)
        return key

    def _read_text(self, sample: _Sample, part: str, member: Member) -> None:
        self.file.seek(member.offset)
        content = self.file.read(member.size)
        description = parse_description(content) if part == "json" else {}
        if find_captions(content if part == "text" else None, description, self.fields.captions):
            sample.captions = True
        label = find_label(description, self.fields.label)
        if label is not None:
            self.labels.add(label)

    def _table(self) -> ShardTable:
        reasons = {key: reason for key, sample in self.samples.items() if (reason := _fault(sample))}
        harmed = {key: damage.reason for damage, key in self.damage if key in reasons}
        bad = [
            BadSample(key, self.path, f"{reason} ({harmed[key]})" if key in harmed else reason)
            for key, reason in reasons.items()
        ]
        bad += [
            BadSample(key, self.path, "its key occurs twice in the shard; the first one is used")
            for key, sample in self.samples.items()
            if sample.doubled and key not in reasons
        ]
        blamed = {damage for damage, key in self.damage if key in reasons}
        damage = dict.fromkeys(damage for damage, _ in self.damage if damage not in blamed)
        rows = [_row(key, sample) for key, sample in self.samples.items() if key not in reasons]
        summary = ShardSummary(
            samples=len(rows),
            digest=hashlib.blake2b(json.dumps(rows).encode(), digest_size=16).hexdigest(),
            bad=tuple(bad),
            damage=tuple(BadSample("", self.path, one.reason) for one in damage),
            labels=tuple(sorted(self.labels)),
        )
        return ShardTable(pa.Table.from_pylist(rows, schema=SCHEMA), summary)


def split_name(name: str) -> tuple[str | None, str]:
    """Key and lower-case ending of a member's name; (None, "") for hidden files and names without an ending."""
    match = _NAME.fullmatch(name)
    return (match[1], match[2].lower()) if match else (None, "")


def _fault(sample: _Sample) -> str | None:
    if "image" not in sample.parts:
        return "no picture"
    if sample.parts["image"].size == 0:
        return "empty picture"
    return None if sample.captions else "no caption"


def _row(key: str, sample: _Sample) -> dict[str, str | int]:
    row: dict[str, str | int] = {"key": key}
    for part in PARTS:
        member = sample.parts.get(part)
        row[f"{part}_offset"] = member.offset if member else -1
        row[f"{part}_size"] = member.size if member and (part == "image" or member.size <= _MAX_TEXT) else 0
    return row
