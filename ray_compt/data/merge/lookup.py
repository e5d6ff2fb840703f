"""Captions by picture on disk: caption files are larger than memory, and shards ask in another order.

An SQLite file, which takes about as much room as the caption files; it is whole, or it is not there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ray_compt.errors import UserError
from ray_compt.storage import LocalPlace

_PRAGMAS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
_TABLE = "CREATE TABLE captions (picture TEXT NOT NULL, texts TEXT NOT NULL)"
_INDEX = "CREATE INDEX by_picture ON captions (picture)"
_INSERT = "INSERT INTO captions VALUES (?, ?)"
_SELECT = "SELECT texts FROM captions WHERE picture = ? ORDER BY rowid"


class Lookup:
    """The captions of every picture that the files name."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    def find(self, picture: str) -> list[str]:
        """A picture's captions in the order of the files, without doubles; [] where none has any."""
        rows = self._connection.execute(_SELECT, (picture,))
        return list(dict.fromkeys(text for (texts,) in rows for text in json.loads(texts)))


def build_lookup(file: Path, captions: Iterable[tuple[str, list[str]]]) -> None:
    """Write the captions of each picture; nothing is left of a try that breaks off.

    Raises:
        UserError: there is no room.
    """

    def make(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(_PRAGMAS)
            with connection:
                connection.execute(_TABLE)
                connection.executemany(_INSERT, ((picture, json.dumps(texts)) for picture, texts in captions))
                connection.execute(_INDEX)

    try:
        LocalPlace(file).write(make)
    except (sqlite3.OperationalError, OSError) as error:
        raise UserError(
            f"the captions cannot be sorted there: {error}",
            where=str(file.parent),
            mend="make room for about as much as the caption files take, or give another --out",
        ) from error


@contextmanager
def open_lookup(file: Path) -> Iterator[Lookup]:
    """What `build_lookup` has written."""
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        yield Lookup(connection)
