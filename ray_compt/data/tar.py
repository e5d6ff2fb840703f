"""A walk over a tar archive that survives damage.

Python's tarfile (and everything built on it) takes a damaged header for the end of the archive and drops all
that follows without a word. This walk looks for the next header at every 512-byte block instead, says which
bytes it skipped, and says when the end mark is missing. Nothing is ever unpacked to disk, so names such as
`/etc/x` or `../x` are only names.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = tarfile.BLOCKSIZE
_ZEROS = bytes(BLOCK)
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_WITHOUT_CONTENT = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
# Names and pax records are short; a larger "name" is damage or an attack on memory.
_MAX_EXTENSION = 1 << 20


@dataclass(frozen=True)
class Member:
    """A regular file in the archive: its content is bytes [offset, offset + size)."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True)
class Damage:
    """Bytes that could not be understood; `name` is the member they belong to, where its header was whole."""

    offset: int
    reason: str
    name: str = ""


def walk(file: BinaryIO, size: int) -> Iterator[Member | Damage]:
    """Members and damage of a tar archive in the order of the file.

    Args:
        file: seekable, binary; the caller may move it between two results.
        size: length of the file in bytes.
    """
    position, damaged_from, ended = 0, None, False
    override: dict[str, str] = {}
    while position + BLOCK <= size:
        file.seek(position)
        block = file.read(BLOCK)
        if block == _ZEROS:
            position, ended = position + BLOCK, True
            continue
        header = _header(block)
        if header is None:
            damaged_from = position if damaged_from is None else damaged_from
            position, ended, override = position + BLOCK, False, {}
            continue
        if damaged_from is not None:
            yield _skipped(damaged_from, position)
        damaged_from, ended = None, False
        content = position + BLOCK
        length = _content_length(header, override)
        if content + length > size:
            name = override.get("path", header.name)
            yield Damage(position, f"the archive ends inside {name}", name)
            return
        position = content + -(-length // BLOCK) * BLOCK
        if header.type in (_LONG_NAME, _LONG_LINK, *_PAX):
            if length <= _MAX_EXTENSION:
                file.seek(content)
                override = {**override, **_extension(header, file.read(length))}
            continue
        if header.type in _FILES:
            yield Member(override.get("path", header.name), content, length)
        override = {}
    if damaged_from is not None:
        yield _skipped(damaged_from, size)
    elif not ended and size:
        yield Damage(position, "the archive has no end mark; it may have been cut off")


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "backslashreplace")
    except tarfile.HeaderError:
        return None
    return header if header.size >= 0 else None


def _content_length(header: tarfile.TarInfo, override: dict[str, str]) -> int:
    if header.type in _WITHOUT_CONTENT:
        return 0
    size = override.get("size", "")
    return int(size) if size.isdecimal() and header.type in _FILES else header.size


def _extension(header: tarfile.TarInfo, content: bytes) -> dict[str, str]:
    """Path and size that an extension header sets for the member after it."""
    if header.type == _LONG_NAME:
        return {"path": _text(content.split(b"\0", 1)[0])}
    return _pax_records(content) if header.type in _PAX else {}


def _pax_records(content: bytes) -> dict[str, str]:
    """Records "LENGTH KEY=VALUE\\n", LENGTH counting the whole record (POSIX.1-2001, pax)."""
    records = {}
    while content:
        digits, _, _ = content.partition(b" ")
        if not digits.isdigit() or len(digits) > 7 or int(digits) <= len(digits):
            break
        record, content = content[len(digits) + 1 : int(digits) - 1], content[int(digits) :]
        key, _, value = record.partition(b"=")
        if key in (b"path", b"size"):
            records[key.decode()] = _text(value)
    return records


def _skipped(start: int, end: int) -> Damage:
    return Damage(start, f"damaged tar header at byte {start}: {end - start} bytes skipped")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
