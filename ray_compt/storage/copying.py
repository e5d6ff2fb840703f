"""Copying a folder from one place to another, over any two kinds of storage."""

from __future__ import annotations

import os
import shutil
from collections.abc import Container
from pathlib import Path

from ray_compt.storage.place import LocalPlace, Place

# Tensors and tables of shards: written once, so that two names of one file on a disk cannot disturb each other.
WRITTEN_ONCE = (".safetensors", ".arrow")


def copy_folder(source: Place, target: Place, leave_out: Container[str] = ()) -> None:
    """Copy all that lies in `source`, at any depth, into `target`; each file appears whole or not at all.

    On one disk, files that are written once become a second name of the same file and take no room.

    Args:
        leave_out: names at the top of `source` that are not copied.

    Raises:
        OSError, StorageError: a file cannot be read or written.
    """
    for name in source.names():
        if name in leave_out:
            continue
        if (source / name).is_folder():
            copy_folder(source / name, target / name)
        else:
            copy_file(source / name, target / name)


def copy_file(source: Place, target: Place) -> None:
    """Copy one file, whole or not at all."""

    def make(path: Path) -> None:
        if not _linked(source, path):
            with source.open() as stream, path.open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 24)

    target.write(make)


def _linked(source: Place, path: Path) -> bool:
    if not isinstance(source, LocalPlace) or source.path.suffix not in WRITTEN_ONCE:
        return False
    try:
        path.unlink(missing_ok=True)
        os.link(source.path, path)
    except OSError:
        # Another disk, or one without hard links.
        return False
    return True
