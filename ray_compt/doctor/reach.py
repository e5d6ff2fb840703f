"""Whether a machine sees the paths that the driver sees: the same files behind them, not just the same names.

Files to read are compared by their first bytes. Into a folder to write the driver lays a mark with a random name; a
node looks for it, and lays one of its own that the driver looks for. Every look has a time-out: a mount that hangs
answers nobody.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ray_compt.errors import StorageError, UserError
from ray_compt.storage import open_place
from ray_compt.storage.deadline import Background

# Seconds for all paths together; object stores try again for a while.
ANSWER_S = 20.0
HEAD_BYTES = 65_536
MARK = ".compt-probe-"


@dataclass(frozen=True)
class Sample:
    """A file, or a folder, that the driver has looked at.

    Attributes:
        name: of the check.
        path: as nodes read it.
        digest: of the first bytes; None: a folder.
    """

    name: str
    path: str
    digest: str | None


@dataclass(frozen=True)
class Mark:
    """A file that the driver has written.

    Attributes:
        name: of the check.
        folder: in which it lies.
        key: its name after `MARK`, which is its content too.
    """

    name: str
    folder: str
    key: str


@dataclass(frozen=True)
class Unreached:
    """A path that a machine does not have as the driver has it.

    Attributes:
        name: of the check.
        path: the path.
        kind: "missing", "other", "unreadable", "unwritable", "silent" or "store"; what to do follows from it.
        reason: what was found.
    """

    name: str
    path: str
    kind: str
    reason: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def digest_of(path: str) -> str:
    """Of a file's first bytes. Raises OSError or UserError where it cannot be read."""
    with open_place(path).open() as stream:
        return hashlib.blake2b(stream.read(HEAD_BYTES), digest_size=8).hexdigest()


def unreached(
    samples: Sequence[Sample], marks: Sequence[Mark], me: str, seconds: float = ANSWER_S
) -> list[Unreached]:
    """What of it this machine lacks; writes its own mark beside each of the driver's that it finds.

    Args:
        samples, marks: the driver's.
        me: what this node's marks end with.
        seconds: for all of them together.
    """
    asked: list[tuple[str, str, Background[Unreached | None]]] = [
        *((one.name, one.path, _begin(_look, one)) for one in samples),
        *((one.name, one.folder, _begin(_mark, one, me)) for one in marks),
    ]
    deadline = time.monotonic() + seconds
    found = []
    for name, path, answer in asked:
        try:
            found.append(answer.wait(max(0.0, deadline - time.monotonic())))
        except TimeoutError:
            found.append(Unreached(name, path, "silent", f"does not answer within {seconds:g} s"))
    return [one for one in found if one is not None]


def mark_path(mark: Mark, me: str | None = None) -> str:
    """Where a mark lies: the driver's, or the one that the node `me` lays beside it."""
    return f"{mark.folder.rstrip('/')}/{MARK}{mark.key}" + (f"-{me}" if me else "")


def _begin(look: Callable[..., Unreached | None], *arguments: Any) -> Background[Unreached | None]:
    return Background(lambda: look(*arguments), name="path")


def _look(sample: Sample) -> Unreached | None:
    def fault(kind: str, reason: str) -> Unreached:
        return Unreached(sample.name, sample.path, kind, reason)

    try:
        if sample.digest is None:
            return None if open_place(sample.path).is_folder() else fault("missing", "is not there")
        if digest_of(sample.path) != sample.digest:
            return fault("other", "is another file than the driver's")
    except Exception as error:  # Drivers of remote stores raise what they like.
        kind, reason = _reason(error, "read")
        return fault(kind, reason)
    return None


def _mark(mark: Mark, me: str) -> Unreached | None:
    def fault(kind: str, reason: str) -> Unreached:
        return Unreached(mark.name, mark.folder, kind, reason)

    try:
        if open_place(mark_path(mark)).read_text() != mark.key:
            return fault("other", "is another folder than the driver's")
    except (FileNotFoundError, NotADirectoryError):
        if open_place(mark.folder).is_folder():
            return fault("other", "is another folder than the driver's")
        return fault("missing", "is not there")
    except Exception as error:
        kind, reason = _reason(error, "read")
        return fault(kind, reason)
    own = open_place(mark_path(mark, me))
    try:
        own.write_text(mark.key)
        if not open_place(mark_path(mark)).is_file():
            # The driver has waited long enough and tidied up.
            own.remove()
    except Exception as error:
        kind, reason = _reason(error, "written")
        return fault(kind, reason)
    return None


def _reason(error: Exception, done: str) -> tuple[str, str]:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "missing", "is not there"
    if isinstance(error, StorageError):
        return "store", error.message
    text = error.message if isinstance(error, UserError) else getattr(error, "strerror", None) or str(error)
    short = " ".join(text.split()) or type(error).__name__
    return ("unreadable" if done == "read" else "unwritable"), f"cannot be {done} ({short})"
