"""One row of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bad_input.place import Place

# Makes the bad input in a place, and returns the command's arguments.
Make = Callable[[Place], list[str | Path]]


@dataclass(frozen=True)
class Row:
    """A mistake, and what the program has to say to it.

    Attributes:
        name: short and unique; names the test.
        title: the mistake in a few words, for people.
        make: makes it in a fresh folder and returns the arguments of `compt`.
        place: where the mistake is, with which the message begins; the row's folder is left out.
        says: texts that the message must contain.
        code: the exit code.
        note: what else the documentation says of it.
        ray: the command reaches Ray, and gets the address of a running one for `CLUSTER`.
        harmless: a file that must not exist afterwards, relative to the folder: what an attack would write.
        varies: parts of the message that depend on the machine, as regular expressions, with what the
            documentation says in their place.
    """

    name: str
    title: str
    make: Make
    place: str
    says: tuple[str, ...]
    code: int = 2
    note: str = ""
    ray: bool = False
    harmless: str | None = None
    varies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chapter:
    """Rows of one kind of input, with the heading and the sentence above them in the documentation."""

    title: str
    text: str
    rows: tuple[Row, ...]
