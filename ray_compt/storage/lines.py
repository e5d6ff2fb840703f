"""A file of JSON lines that grows, and outlives a crash in the middle of a line."""

from __future__ import annotations

import json
import os
from typing import Any

from ray_compt.storage.place import Place


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


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
