"""A place in an object store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from ray_compt.storage.place import Place, WorkingCopy
from ray_compt.storage.scratch import Scratch
from ray_compt.storage.steady import steady_filesystem

CHUNK = 16 << 20


def open_remote(url: str) -> RemotePlace:
    """Raises UserError: nobody knows the protocol, or the bucket does not exist."""
    filesystem, path = steady_filesystem(url)
    return RemotePlace(url.rstrip("/"), filesystem, path)


class RemotePlace(Place):
    """A path in a pyarrow file system that bounds its calls and tries again."""

    def __init__(self, url: str, filesystem: fs.FileSystem, path: str):
        self._url, self._filesystem, self._path = url, filesystem, path

    def __str__(self) -> str:
        return self._url

    def __truediv__(self, name: str) -> RemotePlace:
        return RemotePlace(f"{self._url}/{name}", self._filesystem, f"{self._path}/{name}")

    def is_file(self) -> bool:
        return self._type() == fs.FileType.File

    def is_folder(self) -> bool:
        return self._type() == fs.FileType.Directory

    def names(self) -> list[str]:
        return sorted(info.base_name for info in self._list())

    def versions(self) -> dict[str, tuple[int, int]]:
        return {info.base_name: (info.size or 0, info.mtime_ns or 0) for info in self._list()}

    def open(self) -> pa.NativeFile:
        return self._filesystem.open_input_file(self._path)

    def write(self, make: Callable[[Path], Any]) -> None:
        with Scratch() as folder:
            made = folder / self.name
            make(made)
            self._put(made, self._path)

    def write_bytes(self, content: bytes) -> None:
        with self._filesystem.open_output_stream(self._path, compression=None) as stream:
            stream.write(content)

    def make(self) -> None:
        """Folders exist as soon as something lies in them."""

    def remove(self) -> None:
        kind = self._type()
        if kind == fs.FileType.Directory:
            self._filesystem.delete_dir(self._path)
        elif kind == fs.FileType.File:
            self._filesystem.delete_file(self._path)

    @contextmanager
    def local(self) -> Iterator[Path]:
        if self._type() == fs.FileType.NotFound:
            raise FileNotFoundError(f"nothing at {self}")
        with Scratch() as folder:
            target = folder / self.name
            if self.is_folder():
                target.mkdir()
            fs.copy_files(self._path, str(target), source_filesystem=self._filesystem, chunk_size=CHUNK)
            yield target

    def working_copy(self, *names: str) -> WorkingCopy:
        return _Copy(self, names)

    def for_ray(self) -> tuple[str, Any]:
        return self._path, self._filesystem

    def put_file(self, file: Path, name: str) -> None:
        """Put a local file under `name` in this folder."""
        self._put(file, f"{self._path}/{name}")

    def _put(self, file: Path, path: str) -> None:
        with file.open("rb") as source:
            self._filesystem.handler.put(path, source)

    def _list(self) -> list[fs.FileInfo]:
        return self._filesystem.get_file_info(fs.FileSelector(self._path, allow_not_found=True))

    def _type(self) -> fs.FileType:
        return self._filesystem.get_file_info(self._path).type


class _Copy:
    """Files that grow on this machine and are put whole, each time they have changed."""

    puts_whole = True

    def __init__(self, place: RemotePlace, names: tuple[str, ...]):
        self._place = place
        self._scratch = Scratch()
        for name in names:
            if (place / name).is_file():
                (self.path / name).write_bytes((place / name).read_bytes())
        self._pushed = {file: _version(file) for file in self._files()}

    @property
    def path(self) -> Path:
        return self._scratch.path

    def push(self) -> None:
        for file in self._files():
            version = _version(file)
            if self._pushed.get(file) != version:
                self._place.put_file(file, file.relative_to(self.path).as_posix())
                self._pushed[file] = version

    def _files(self) -> list[Path]:
        return sorted(path for path in self.path.rglob("*") if path.is_file())


def _version(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_mtime_ns, status.st_size
