"""The driver's side of looking at paths: what it sees itself, its marks, and what nodes have written beside them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ray_compt.data.named import named_source
from ray_compt.data.patterns import find_shards
from ray_compt.doctor.asked import Reading, Writing
from ray_compt.doctor.finding import Finding
from ray_compt.doctor.reach import ANSWER_S, MARK, Mark, Sample, Unreached, digest_of, mark_path
from ray_compt.errors import UserError
from ray_compt.storage import is_url, open_place
from ray_compt.storage.deadline import within

T = TypeVar("T")
# Files of a data set that every node reads the beginning of.
LOOKED_AT = 16
# Seconds to list shards, of which there may be many thousands in an object store.
LISTING_S = 120.0
# A network file system may show a file a moment later.
SEEN_TRIES, SEEN_WAIT_S = 5, 0.4
_HERE = "this machine"


@dataclass(frozen=True)
class Paths:
    """What the driver sees of the paths that were asked for.

    Attributes:
        samples, marks: for the nodes to look at.
        seen: of each check what it came to here, for people.
        findings: what is wrong here already; nodes are not asked about it.
    """

    samples: tuple[Sample, ...]
    marks: tuple[Mark, ...]
    seen: dict[str, str]
    findings: tuple[Finding, ...]


@contextmanager
def open_paths(reads: Sequence[Reading], writes: Sequence[Writing]) -> Iterator[Paths]:
    """Look at all paths from here; the marks lie there meanwhile, and nothing of them is left."""
    samples: list[Sample] = []
    marks: list[Mark] = []
    seen: dict[str, str] = {}
    findings: list[Finding] = []
    for reading in reads:
        try:
            found, seen[reading.name] = within(LISTING_S, partial(_samples, reading))
            samples += found
        except Exception as error:  # Drivers of remote stores raise what they like.
            findings.append(_wrong(reading.name, error, "check the path; the driver reads the shards too"))
    try:
        for writing in writes:
            try:
                marks.append(within(ANSWER_S, partial(_lay, writing)))
                seen[writing.name] = writing.path
            except Exception as error:
                findings.append(
                    _wrong(writing.name, error, "give another folder, or the right to write there")
                )
        yield Paths(tuple(samples), tuple(marks), seen, tuple(findings))
    finally:
        for mark in marks:
            with suppress(Exception):
                within(ANSWER_S, partial(_tidy, mark))


def not_seen(marks: Sequence[Mark], me: str) -> list[Unreached]:
    """Folders in which the driver does not find the mark that the node `me` has laid."""
    return [
        Unreached(mark.name, mark.folder, "other", "does not show the driver what was written on this node")
        for mark in marks
        if not _appears(mark_path(mark, me))
    ]


def _appears(path: str) -> bool:
    for _ in range(SEEN_TRIES):
        with suppress(Exception):
            if within(ANSWER_S, open_place(path).is_file):
                return True
        time.sleep(SEEN_WAIT_S)
    return False


def _samples(reading: Reading) -> tuple[list[Sample], str]:
    named = named_source(reading.spec)
    if named is not None:
        root = getattr(named, "root", None)
        if root is None:
            return [], f"{reading.spec} comes with a package"
        if not open_place(root).is_folder():
            raise UserError("no such folder", where=root)
        return [Sample(reading.name, root, None)], root
    found = [location.url for location in find_shards(reading.spec)]
    chosen = evenly(found, LOOKED_AT)
    how = f"{len(found)} files" if len(found) > 1 else chosen[0]
    first = f", the first {chosen[0]}" if len(found) > 1 else ""
    return [Sample(reading.name, path, digest_of(path)) for path in chosen], f"{how}{first}"


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most so many of them, first and last among them, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[round(place * (len(items) - 1) / (most - 1))] for place in range(most)]


def _lay(writing: Writing) -> Mark:
    mark = Mark(writing.name, standing(writing.path), secrets.token_hex(8))
    open_place(mark_path(mark)).write_text(mark.key)
    return mark


def standing(path: str) -> str:
    """The folder itself, or the nearest above it that is there; an object store has every folder.

    Raises:
        NotADirectoryError: a file is in the way.
    """
    if is_url(path):
        return path
    above = Path(path)
    nearest = next(folder for folder in (above, *above.parents) if folder.exists())
    if not nearest.is_dir():
        raise NotADirectoryError(20, "a file is in the way", str(nearest))
    return str(nearest)


def _tidy(mark: Mark) -> None:
    """The driver's mark first: a node that comes late then takes its own away."""
    open_place(mark_path(mark)).remove()
    folder = open_place(mark.folder)
    for name in folder.names():
        if name.startswith(MARK + mark.key):
            (folder / name).remove()


def _wrong(name: str, error: Exception, mend: str) -> Finding:
    if isinstance(error, UserError):
        place = f"{error.where}: " if error.where and error.where != "data" else ""
        return Finding(name, "wrong", f"{place}{error.message}", error.mend or mend, (_HERE,))
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    path = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    return Finding(name, "wrong", f"{path}{' '.join(str(text).split())}", mend, (_HERE,))
