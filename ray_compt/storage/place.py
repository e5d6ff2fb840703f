"""A file or folder that may lie on a disk or in an object store, with what a run folder needs of either.

Every write is atomic: on a disk the content is written beside its place, synced and renamed; in an object
store it is one put. Nothing is appended to remotely: `working_copy` gives files that grow a home on this
machine and puts them whole.
"""

from __future__ import annotations

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol


class WorkingCopy(Protocol):
    """A folder on this machine in which files may be appended to.

    Attributes:
        path: the folder.
        puts_whole: each `push` sends all of a file that has changed.
    """

    @property
    def path(self) -> Path: ...

    @property
    def puts_whole(self) -> bool: ...

    def push(self) -> None:
        """Bring what changed to where it belongs. Raises StorageError where the store does not take it."""
        ...


class Place(ABC):
    """A file or folder. Absent ones raise FileNotFoundError when read, remote ones that fail StorageError."""

    @abstractmethod
    def __str__(self) -> str:
        """The path or URL that `open_place` takes."""

    @abstractmethod
    def __truediv__(self, name: str) -> Place: ...

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return str(self).rstrip("/").rpartition("/")[2]

    @abstractmethod
    def is_file(self) -> bool: ...

    @abstractmethod
    def is_folder(self) -> bool: ...

    @abstractmethod
    def names(self) -> list[str]:
        """What lies in this folder, one level, sorted; nothing where it is absent."""

    @abstractmethod
    def versions(self) -> dict[str, tuple[int, int]]:
        """Size and time (ns) of what lies in this folder, by name: another version of a file, another pair."""

    @abstractmethod
    def open(self) -> Any:
        """This file as a binary stream to read and close."""

    def read_bytes(self) -> bytes:
        with self.open() as stream:
            return bytes(stream.read())

    @abstractmethod
    def write(self, make: Callable[[Path], Any]) -> None:
        """Write this file, whole or not at all, creating the folders above it.

        Args:
            make: writes the content to the local path that it is given.

        Raises:
            OSError: the disk does not take it; the old content stays.
        """

    @abstractmethod
    def make(self) -> None:
        """Create this folder; nothing to do in an object store."""

    @abstractmethod
    def remove(self) -> None:
        """Remove this file or folder with all that is in it; an absent one is no error."""

    @abstractmethod
    def local(self) -> AbstractContextManager[Path]:
        """This file or folder on this machine, for reading only; a download is removed at the end."""

    @abstractmethod
    def working_copy(self, *names: str) -> WorkingCopy:
        """This folder, to append in; remotely it begins with the files `names` where they exist."""

    @abstractmethod
    def for_ray(self) -> tuple[str, Any]:
        """Ray Train's `storage_path` and `storage_filesystem`."""

    def read_text(self) -> str:
        return self.read_bytes().decode("utf-8")

    def write_bytes(self, content: bytes) -> None:
        self.write(lambda path: path.write_bytes(content))

    def write_text(self, text: str) -> None:
        self.write_bytes(text.encode("utf-8"))


class LocalPlace(Place):
    """A path on a file system that this machine has mounted."""

    def __init__(self, path: Path):
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> LocalPlace:
        return LocalPlace(self.path / name)

    def is_file(self) -> bool:
        return self.path.is_file()

    def is_folder(self) -> bool:
        return self.path.is_dir()

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path)) if self.path.is_dir() else []

    def versions(self) -> dict[str, tuple[int, int]]:
        found = {name: (self.path / name).stat() for name in self.names()}
        return {name: (status.st_size, status.st_mtime_ns) for name, status in found.items()}

    def open(self) -> BinaryIO:
        return self.path.open("rb")

    def write(self, make: Callable[[Path], Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Hidden, and not *.safetensors, which open_clip would take for a checkpoint.
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        try:
            make(beside)
            _sync(beside)
            beside.replace(self.path)
            _sync(self.path.parent)
        finally:
            beside.unlink(missing_ok=True)

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path, ignore_errors=True)
            return
        # What lies below a file is absent too.
        with suppress(FileNotFoundError, NotADirectoryError):
            self.path.unlink()

    def local(self) -> AbstractContextManager[Path]:
        return nullcontext(self.path)

    def working_copy(self, *names: str) -> WorkingCopy:
        self.make()
        return _InPlace(self.path)

    def for_ray(self) -> tuple[str, Any]:
        return str(self.path), None


class _InPlace:
    puts_whole = False

    def __init__(self, path: Path):
        self.path = path

    def push(self) -> None:
        """What is appended on a disk is there already."""


def open_place(ref: str | Path | Place) -> Place:
    """The place of a path or URL.

    Raises:
        UserError: a URL that no driver knows.
    """
    if isinstance(ref, Place):
        return ref
    if is_url(ref):
        # Imported here: pyarrow takes a third of a second, which a local run need not pay.
        from ray_compt.storage.remote import open_remote

        return open_remote(str(ref))
    return LocalPlace(Path(str(ref).removeprefix("file://")))


def is_url(ref: str | Path | Place) -> bool:
    """Whether a path or URL names another place than this machine's disks."""
    return "://" in str(ref) and not str(ref).startswith("file://")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
