"""Files of captions as a stream of (picture, captions): CSV, TSV, JSON lines and Parquet.

A row may hold several captions (in several columns, or as a list in one), and a picture several rows.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from ray_compt.data.captions import clean, split_sentences
from ray_compt.data.filesystem import open_filesystem
from ray_compt.errors import UserError

# A row by the names of its columns; a cell is text, a number, a list of texts, or None.
Row = Mapping[str, Any]

_BATCH_ROWS = 4096
# Columns of JSON lines are those of the first ones, since a line may leave some out.
_LINES_FOR_COLUMNS = 100


@dataclass(frozen=True)
class Columns:
    """Which columns are read.

    Attributes:
        picture: names the picture of a row.
        captions: hold its captions, in the order in which they are wanted.
        sentences: each caption is cut into its sentences.
    """

    picture: str
    captions: tuple[str, ...]
    sentences: bool = False


def read_captions(path: str, columns: Columns) -> Iterator[tuple[str, list[str]]]:
    """Each row's picture and captions, without blanks; rows that name no picture or no caption are left out.

    Raises:
        UserError: the file cannot be read, or has no such column.
    """
    known = column_names(path)
    for name in (columns.picture, *columns.captions):
        if name not in known:
            raise UserError(
                f"no column {name!r}; there are: {', '.join(known)}", where=path, mend="name one of these"
            )
    for row in _rows(path):
        picture = row.get(columns.picture)
        captions = [text for name in columns.captions for text in _texts(row.get(name), columns.sentences)]
        if picture not in (None, "") and captions:
            yield str(picture), captions


def column_names(path: str) -> list[str]:
    """The names of a file's columns.

    Raises:
        UserError: it cannot be read, or has no rows.
    """
    found = dict.fromkeys(
        name for row in itertools.islice(_rows(path), _LINES_FOR_COLUMNS) for name in row if name
    )
    if not found:
        raise UserError("there are no rows", where=path, mend="give a file with a header and captions")
    return list(found)


def choose_columns(
    path: str, picture: str | None, captions: Sequence[str] | None, *, sentences: bool
) -> Columns:
    """The columns to read, those that nobody names by their names.

    Args:
        path: of the file, or of one of several that are alike.
        picture: column that names the picture; None: `key`, else `url`.
        captions: columns with captions; None: all whose name contains "caption".
        sentences: as in `Columns`.

    Raises:
        UserError: there are no such columns.
    """
    known = column_names(path)
    picture = picture or next((name for name in ("key", "url") if name in known), None)
    if picture is None:
        raise UserError(
            f"no column is called key or url; there are: {', '.join(known)}",
            where=path,
            mend="say with --id which column names the picture",
        )
    found = tuple(captions or [name for name in known if "caption" in name.lower() and name != picture])
    if not found:
        raise UserError(
            f"no column is called after captions; there are: {', '.join(known)}",
            where=path,
            mend="name those with captions, each with --captions",
        )
    return Columns(picture, found, sentences)


def _texts(cell: Any, sentences: bool) -> Iterator[str]:
    """The captions of a cell."""
    for value in cell if isinstance(cell, list) else [cell]:
        text = clean(value) if isinstance(value, str) else ""
        if text:
            yield from split_sentences(text) if sentences else [text]


def _rows(path: str) -> Iterator[Row]:
    reader = _READERS.get(path.rsplit(".", 1)[-1].lower())
    if reader is None:
        raise UserError(
            "captions are read from .csv, .tsv, .jsonl and .parquet files",
            where=path,
            mend="convert it, or give it the ending of what it is",
        )
    try:
        with _opened(path) as file:
            yield from reader(path, file)
    except OSError as error:
        raise UserError(
            f"cannot read the captions: {error.strerror or error}", where=path, mend="check the path"
        ) from error


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    filesystem, inner = open_filesystem(path)
    with filesystem.open(inner, "rb") as file:
        yield file


def _text(file: BinaryIO) -> io.TextIOWrapper:
    # Excel puts a byte order mark before the name of the first column.
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")


def _separated(separator: str) -> Callable[[str, BinaryIO], Iterator[Row]]:
    def rows(path: str, file: BinaryIO) -> Iterator[Row]:
        reader = csv.DictReader(_text(file), delimiter=separator, strict=False)
        try:
            yield from reader
        except csv.Error as error:
            # Most often a quotation mark without its partner, which takes all that follows for one cell.
            raise UserError(
                f"malformed: {error}",
                where=f"{path}:{reader.line_num}",
                mend="mend the quotation marks there",
            ) from error

    return rows


def _json_lines(path: str, file: BinaryIO) -> Iterator[Row]:
    for number, line in enumerate(_text(file), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError("no JSON object", where=f"{path}:{number}", mend="write one object a line")
        yield row


def _parquet(path: str, file: BinaryIO) -> Iterator[Row]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(file).iter_batches(_BATCH_ROWS):
            yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise UserError(
            f"no Parquet file: {str(error).splitlines()[0]}", where=path, mend="restore it from a copy"
        ) from error


_READERS: dict[str, Callable[[str, BinaryIO], Iterator[Row]]] = {
    "csv": _separated(","),
    "tsv": _separated("\t"),
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "parquet": _parquet,
}
