"""A file of JSON lines that grows, and outlives a crash in the middle of a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from ray_compt.storage.place import Place

_BLOCK = 1 << 16


class JsonLines:
    """Appends to a file; in an object store what was appended arrives with `store`.

    A last line that a crash cut in half is closed by the next `append`, and passed over by `read`, which writes
    nothing.

    Args:
        folder: where the file lies.
        name: of the file.
    """

    def __init__(self, folder: Place, name: str):
        self._copy = folder.working_copy(name)
        self._path = self._copy.path / name
        self._end = "\n" if self._cut_off() else ""

    def append(self, entry: dict[str, Any]) -> None:
        with self._path.open("a") as file:
            file.write(self._end + json.dumps(entry) + "\n")
        self._end = ""

    def read(self) -> list[dict[str, Any]]:
        """Every whole line, in order."""
        if not self._path.exists():
            return []
        lines = self._path.read_text(errors="replace").splitlines()
        return [entry for entry in map(_parsed, lines) if entry is not None]

    def store(self) -> None:
        """Bring what was appended to an object store; on a disk it is there already.

        Raises:
            StorageError: the store does not take it.
        """
        self._copy.push()

    def _cut_off(self) -> bool:
        if not self._path.exists() or not self._path.stat().st_size:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"


def lines_from_end(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines of a seekable file, last first, each with its offset and, where it has one, its line end.

    Only what is asked for is read.
    """
    start, rest = file.seek(0, os.SEEK_END), b""
    while start:
        size = min(start, _BLOCK)
        start = file.seek(start - size)
        lines = (file.read(size) + rest).splitlines(keepends=True)
        # The first one may have begun before this block.
        rest = lines.pop(0)
        end = start + len(rest) + sum(map(len, lines))
        for line in reversed(lines):
            end -= len(line)
            yield end, line
    if rest:
        yield 0, rest


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
