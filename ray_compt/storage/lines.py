"""A file of JSON lines that grows, and outlives a crash in the middle of a line."""

from __future__ import annotations

import json
from typing import Any

from ray_compt.storage.place import Place


class JsonLines:
    """Appends to a file; in an object store what was appended arrives with `store`.

    A last line that a crash cut in half is closed on opening, and passed over by `read`.

    Args:
        folder: where the file lies.
        name: of the file.
    """

    def __init__(self, folder: Place, name: str):
        self._copy = folder.working_copy(name)
        self._path = self._copy.path / name
        if self._path.exists() and not self._path.read_bytes().endswith(b"\n"):
            self._write("\n")

    def append(self, entry: dict[str, Any]) -> None:
        self._write(json.dumps(entry) + "\n")

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

    def _write(self, text: str) -> None:
        with self._path.open("a") as file:
            file.write(text)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
