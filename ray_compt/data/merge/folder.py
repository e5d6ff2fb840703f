"""A folder of merged shards: made a shard at a time, and gone on with after any interruption.

OUT/caption-merge.json       {"format", "captions", "columns", "joining"}: what the folder is made from
OUT/00000.tar                a shard, under its own name
OUT/00000.tar.captions.json  what became of it, written after it
OUT/.lock                    held while a merge writes here
OUT/.captions.sqlite         the captions by picture, until all shards are done
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray_compt.data.filesystem import Location, locate
from ray_compt.data.merge.files import Columns, read_captions
from ray_compt.data.merge.lookup import Lookup, build_lookup, open_lookup
from ray_compt.data.merge.shard import Joining, MergedShard, merge_shard
from ray_compt.data.patterns import find_shards
from ray_compt.data.source import Progress
from ray_compt.errors import UserError, written
from ray_compt.storage import LocalPlace, is_url

FORMAT = 1
MARK, LOCK, LOOKUP = "caption-merge.json", ".lock", ".captions.sqlite"
FACTS = ".captions.json"


@dataclass(frozen=True)
class Merged:
    """What became of all shards.

    Attributes:
        shards: their number.
        done: of these, how many an earlier run had written.
        total: of all.
    """

    shards: int
    done: int
    total: MergedShard


def merge_captions(
    shards: str | Sequence[str],
    captions: Sequence[str],
    out: str,
    columns: Columns,
    joining: Joining,
    on_progress: Progress | None = None,
) -> Merged:
    """Join files of captions with shards into new shards in a folder of its own.

    Args:
        shards: as `patterns.find_shards` takes them.
        captions: paths or URLs of the caption files.
        out: the folder; nothing is written anywhere else.
        columns: of the files.
        joining: how a picture is known.
        on_progress: called with (shards done, shards in all).

    Raises:
        UserError: shards or captions that cannot be read, two shards of one name, or a folder that holds something
            else, cannot be written or is in another merge's hands.
    """
    places = find_shards(shards)
    folder = _folder(out)
    targets = _targets(places, folder)
    sources = [locate(path) for path in captions]
    made_from = _made_from(sources, columns, joining)
    with _held(folder, made_from):
        known = {place.url: _facts(targets[place.url], place) for place in places}
        done = sum(found is not None for found in known.values())
        total = MergedShard()
        with _captions(folder / LOOKUP, captions, columns, wanted=done < len(places)) as lookup:
            for number, place in enumerate(places, start=1):
                total += known[place.url] or _merge(place, targets[place.url], joining, lookup)
                if on_progress is not None:
                    on_progress(number, len(places))
    return Merged(len(places), done, total)


@contextmanager
def _captions(file: Path, captions: Sequence[str], columns: Columns, *, wanted: bool) -> Iterator[Lookup]:
    """The captions by picture, which stay on the disk until all shards are done; an empty file where none is wanted."""
    if not file.is_file():
        build_lookup(file, (row for path in captions if wanted for row in read_captions(path, columns)))
    with open_lookup(file) as lookup:
        yield lookup
    file.unlink()


def _merge(place: Location, target: Path, joining: Joining, lookup: Lookup) -> MergedShard:
    merged: list[MergedShard] = []
    LocalPlace(target).write(lambda path: merged.append(merge_shard(place.url, path, joining, lookup.find)))
    [found] = merged
    _write(_facts_file(target), {"stamp": place.stamp, **asdict(found)})
    return found


def _folder(out: str) -> Path:
    if is_url(out):
        raise UserError(
            "shards are written to a disk first, so that a broken run can go on",
            where=out,
            mend="give a folder of this machine, and copy it to the store afterwards",
        )
    return Path(out.removeprefix("file://"))


def _targets(places: Sequence[Location], folder: Path) -> dict[str, Path]:
    """Each shard's file in the folder, by the shard's place."""
    targets: dict[str, Path] = {}
    taken: dict[str, str] = {}
    for place in places:
        name = place.url.rpartition("/")[2]
        if name in taken:
            raise UserError(
                f"two shards are called {name}: {taken[name]} and {place.url}",
                where="data",
                mend="merge them one after the other, each into a folder of its own",
            )
        taken[name] = place.url
        targets[place.url] = folder / name
        if not is_url(place.url) and os.path.realpath(place.url) == os.path.realpath(targets[place.url]):
            raise UserError(
                "this is the shards' own folder, where they would be overwritten",
                where=str(folder),
                mend="give another --out",
            )
    return targets


def _made_from(sources: Sequence[Location], columns: Columns, joining: Joining) -> dict[str, Any]:
    for source in sources:
        if not source.exists or source.is_folder:
            raise UserError("no caption file there", where=source.url, mend="check the path")
    files = [[source.url, source.stamp] for source in sources]
    # Through JSON, as it is compared: tuples become lists.
    made_from = {"format": FORMAT, "captions": files, "columns": asdict(columns), "joining": asdict(joining)}
    return json.loads(json.dumps(made_from))


@contextmanager
def _held(folder: Path, made_from: dict[str, Any]) -> Iterator[None]:
    """Hold the folder of this merge, made where it is not there, and rid it of what a killed run has left.

    Raises:
        UserError: it holds something else, or another merge holds it.
    """
    mark = folder / MARK
    if folder.is_dir() and any(folder.iterdir()) and not mark.is_file():
        raise UserError("there is something else here already", where=str(folder), mend="give another --out")
    with written("the folder", where=str(folder), mend="give another --out"):
        folder.mkdir(parents=True, exist_ok=True)
        if not mark.is_file():
            _write(mark, made_from)
        lock = (folder / LOCK).open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                "another merge writes here", where=str(folder), mend="wait for it, or give another --out"
            ) from None
        if _read(mark) != made_from:
            raise UserError(
                "the shards here are made from other captions, or by other options",
                where=str(mark),
                mend="give the same captions and options to go on, or another --out",
            )
        for left in folder.glob(".*.partial"):
            left.unlink()
        yield


def _facts(target: Path, place: Location) -> MergedShard | None:
    """What an earlier run has made of a shard; None where it has not, or the shard has changed since."""
    stored = _read(_facts_file(target))
    if not target.is_file() or not isinstance(stored, dict) or stored.pop("stamp", None) != place.stamp:
        return None
    try:
        return MergedShard(**stored)
    except TypeError:
        return None


def _facts_file(target: Path) -> Path:
    return target.with_name(target.name + FACTS)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def _write(file: Path, content: dict[str, Any]) -> None:
    with written("the folder", where=str(file.parent), mend="make room there, or give another --out"):
        LocalPlace(file).write_text(json.dumps(content, indent=1) + "\n")
