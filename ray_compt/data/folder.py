"""Labelled pictures as a folder of class folders: ROOT/CLASS/PICTURE, on a disk or in an object store."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ray_compt.data.samples import RawSample, Shard
from ray_compt.data.source import Contents, Progress
from ray_compt.errors import UserError
from ray_compt.storage import Place, open_place

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


@dataclass(frozen=True)
class FolderSource:
    """One virtual shard a class, pictures by name; a picture's only caption is its class."""

    root: str

    def scan(self, patterns: Sequence[str], on_progress: Progress | None = None) -> Contents:
        """There are no patterns: the root says it all.

        Raises:
            UserError: no such folder, no class folders in it, or one without pictures.
        """
        place = open_place(self.root)
        if not place.is_folder():
            raise UserError("no such folder", where=self.root, mend="give a folder with one folder a class")
        classes = [name for name in place.names() if not name.startswith(".") and (place / name).is_folder()]
        if not classes:
            raise UserError(
                "no class folders here", where=self.root, mend="put the pictures of each class into a folder"
            )
        names = {label: _pictures(str(place / label)) for label in classes}
        empty = [label for label, found in names.items() if not found]
        if empty:
            raise UserError(
                f"{len(empty)} of {len(classes)} classes have no picture ({', '.join(SUFFIXES)})",
                where=str(place / empty[0]),
                mend="put pictures into the folder, or remove it",
            )
        shards = tuple(Shard(str(place / label), len(found)) for label, found in names.items())
        digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=16).hexdigest()
        return Contents(shards, (), tuple(classes), digest)

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        place = open_place(shard.path)
        names = _pictures(shard.path)
        if len(names) != shard.samples:
            raise UserError(
                f"the folder has {len(names)} pictures now, {shard.samples} when it was listed",
                where=shard.path,
                mend="leave it alone while it is read",
            )
        for name in names[lo:hi]:
            yield RawSample(_key(place, name), (place / name).read_bytes(), [place.name], place.name)

    def keys(self, shard: Shard) -> list[str]:
        place = open_place(shard.path)
        return [_key(place, name) for name in _pictures(shard.path)]


def _key(folder: Place, name: str) -> str:
    return f"{folder.name}/{name}"


@functools.lru_cache(maxsize=4096)
def _pictures(folder: str) -> tuple[str, ...]:
    """Names of the pictures in a folder, sorted; listed once in a process."""
    found = open_place(folder).names()
    return tuple(name for name in found if name.lower().endswith(SUFFIXES) and not name.startswith("."))
