"""A file of lines in parts: where each put sends a whole file, none of them grows with all that was ever written.

metrics.jsonl, metrics.jsonl.0001, metrics.jsonl.0002, ...
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

from ray_compt.storage.place import Place

PART_BYTES = 8 << 20
_READ_AHEAD = 1 << 20


def part_names(folder: Place, name: str) -> list[str]:
    """The parts of a file in `folder`, in order; only its own name where nothing is there yet."""
    numbered = re.compile(re.escape(name) + r"\.(\d{4,})")
    numbers = sorted(int(match[1]) for found in folder.names() if (match := numbered.fullmatch(found)))
    return [name, *(part_name(name, number) for number in numbers)]


def part_name(name: str, number: int) -> str:
    """The name of part `number`, from 0."""
    return f"{name}.{number:04d}" if number else name


def part_number(name: str) -> int:
    """The inverse of `part_name`."""
    match = re.search(r"\.(\d{4,})$", name)
    return int(match[1]) if match else 0


def read_lines(folder: Place, name: str) -> Iterator[bytes]:
    """The lines of all parts, each with its line end where it has one; nothing where there are none."""
    for part in part_names(folder, name):
        try:
            with (folder / part).open() as stream, io.BufferedReader(stream, _READ_AHEAD) as lines:
                yield from lines
        except FileNotFoundError:
            continue
