"""Temporary folders that a killed process does not leave behind for long.

Each is locked by the process that made it. Whoever makes the next one on the same machine removes those that nobody
holds any more: a node on which workers die every day would otherwise fill up with halves of checkpoints.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path

# Long enough that nobody else's folder begins so.
PREFIX = "ray_compt_scratch_"


class Scratch:
    """A temporary folder; a context manager that gives its path.

    Attributes:
        path: the folder.
        remove: removes it; may be called twice.
    """

    def __init__(self) -> None:
        _sweep()
        self.path, self._handle = _make()
        # Where nobody calls `remove`, the end of the object or of the process does.
        self.remove = weakref.finalize(self, _remove, self.path, self._handle)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.remove()


def _make() -> tuple[Path, int]:
    """A new folder and the handle that holds its lock; another process's sweep may come before the lock."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return path, handle
        os.close(handle)


def _remove(path: Path, handle: int) -> None:
    shutil.rmtree(path, ignore_errors=True)
    os.close(handle)


def _sweep() -> None:
    """Remove this user's folders whose makers are dead; the kernel lets go of a dead process's locks."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            handle = os.open(folder, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(handle)
