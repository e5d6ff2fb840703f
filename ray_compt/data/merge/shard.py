"""One shard written anew, with more captions in its samples' JSON."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ray_compt.data.captions import clean, parse_description
from ray_compt.data.shard_table import opened_shard, split_name
from ray_compt.data.tar import Damage, Member, walk
from ray_compt.errors import written

# What `Joining.match` says for a sample's own key.
KEY = "key"

# A sample's members by name.
Members = dict[str, Member]
# Adds a member with this name and content to an archive.
Add = Callable[[str, bytes], None]


@dataclass(frozen=True)
class Joining:
    """How captions and samples come together.

    Attributes:
        match: field of KEY.json that the captions know a picture by, `key` for the sample's key.
        caption_field: field of KEY.json that gets the list of captions; those in it already come first.
        drop: leave out samples for which there is no caption.
    """

    match: str
    caption_field: str = "captions"
    drop: bool = False


@dataclass(frozen=True)
class MergedShard:
    """What became of a shard.

    Attributes:
        samples: in it.
        matched: of these, the ones for which there were captions.
        captions: that were new.
        damage: places in the archive that could not be read; what is there is not in the new shard.
    """

    samples: int = 0
    matched: int = 0
    captions: int = 0
    damage: int = 0

    def __add__(self, other: MergedShard) -> MergedShard:
        return MergedShard(
            self.samples + other.samples,
            self.matched + other.matched,
            self.captions + other.captions,
            self.damage + other.damage,
        )


def merge_shard(source: str, target: Path, joining: Joining, find: Callable[[str], list[str]]) -> MergedShard:
    """Write the samples of a shard with their captions, in the order of their first members.

    All else is copied as it is. A sample without JSON gets one where there are captions for it.

    Args:
        source: the shard, a path or URL.
        target: the file to write.
        find: the captions of a picture.

    Raises:
        UserError: the shard cannot be read, or the file not be written.
    """
    with opened_shard(source) as (file, size), _archive(target) as add:
        samples, damage = _samples(file, size)
        merged = MergedShard(damage=damage)
        for key, members in samples.items():
            json_name = next((name for name in members if split_name(name)[1] == "json"), f"{key}.json")
            stored = _content(file, members[json_name]) if json_name in members else None
            description = parse_description(stored)
            found = find(_identity(key, description, joining.match))
            new, listed = _joined(description.get(joining.caption_field), found)
            merged += MergedShard(samples=1, matched=bool(found), captions=new)
            if found or not joining.drop:
                changed = {**description, joining.caption_field: listed} if new else None
                _copy(file, members, json_name, changed, add)
    return merged


def _samples(file: BinaryIO, size: int) -> tuple[dict[str, Members], int]:
    """The members of each sample, and the number of damaged places; of two members with one name the first counts.

    Members whose names give no key belong to no sample.
    """
    samples: dict[str, Members] = {}
    damage = 0
    for found in walk(file, size):
        if isinstance(found, Damage):
            damage += 1
            continue
        key, _ = split_name(found.name)
        if key is not None:
            samples.setdefault(key, {}).setdefault(found.name, found)
    return samples, damage


def _identity(key: str, description: dict[str, Any], match: str) -> str:
    return key if match == KEY else str(description.get(match, ""))


def _joined(present: Any, found: list[str]) -> tuple[int, list[str]]:
    """How many captions are new, and all of them: those that are there, then the new ones."""
    listed = present if isinstance(present, list) else [present]
    old = dict.fromkeys(text for text in (clean(one) for one in listed if isinstance(one, str)) if text)
    joined = list(dict.fromkeys([*old, *found]))
    return len(joined) - len(old), joined


def _copy(
    file: BinaryIO, members: Members, json_name: str, description: dict[str, Any] | None, add: Add
) -> None:
    """Write a sample's members, its JSON last; a description takes that one's place."""
    for name, member in members.items():
        if name != json_name:
            add(name, _content(file, member))
    if description is not None:
        add(json_name, json.dumps(description, ensure_ascii=False).encode("utf-8", "replace"))
    elif json_name in members:
        add(json_name, _content(file, members[json_name]))


def _content(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(member.size)


@contextmanager
def _archive(target: Path) -> Iterator[Add]:
    """A new tar file, as a function that adds a member to it."""

    def writing() -> AbstractContextManager[None]:
        mend = "make room there, or give another --out"
        return written("the new shard", where=str(target.parent), mend=mend)

    def add(name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        with writing():
            tar.addfile(member, io.BytesIO(content))

    with ExitStack() as opened:
        with writing():
            tar = opened.enter_context(tarfile.open(target, "w", format=tarfile.PAX_FORMAT))
        yield add
        with writing():
            tar.close()
