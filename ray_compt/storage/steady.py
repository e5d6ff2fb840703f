"""A pyarrow file system over another one that bounds every call and tries again what may pass.

pyarrow and Ray take it wherever they take a file system, so a flaky store is dealt with in this one place. It
is made for object stores: a file appears when it is closed, folders need not be made.
"""

from __future__ import annotations

import io
import logging
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs

from ray_compt.storage.connect import StoreAddress, connect, find_address, inner_path
from ray_compt.storage.deadline import within
from ray_compt.storage.faults import find_fault

T = TypeVar("T")
logger = logging.getLogger(__name__)

# The AWS SDK repeats what it knows to be passing, such as 503; a reply cut in mid-body is final for it, so whole
# calls are repeated too, after these waits, and none is begun when this much time has gone.
WAITS_S, PATIENCE_S = (1.0, 4.0), 30.0
# A call may take this long, and a reader a second more for so many bytes.
CALL_S, SLOWEST_BYTES_S = 20.0, 1 << 20
CHUNK = 16 << 20
# These are answers, not failures.
_ANSWERS = (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError, NotImplementedError)
_WITHOUT_FOLDERS = ("s3", "gcs", "abfs")


def steady_filesystem(url: str) -> tuple[fs.FileSystem, str]:
    """The file system of a URL, and the path inside it.

    Raises:
        UserError: nobody knows the protocol, or the bucket does not exist.
    """
    handler = Steady(find_address(url))
    # What cannot be opened at all is said now, not at the first use.
    _ = handler.store
    return fs.PyFileSystem(handler), inner_path(url)


class Steady(fs.FileSystemHandler):
    """The handler behind `steady_filesystem`.

    After the last try it raises StorageError, which is a RefusedError where trying again cannot help.
    """

    def __init__(self, address: StoreAddress):
        self.address = address

    @cached_property
    def store(self) -> Any:
        return self.attempt(self.address.host, lambda: connect(self.address))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Steady, (self.address,))

    def __eq__(self, other: object) -> bool:
        return self.address == other.address if isinstance(other, Steady) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def get_type_name(self) -> str:
        return str(self.store.type_name)

    def normalize_path(self, path: str) -> str:
        return str(self.store.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return self.attempt(paths[0], lambda: self.store.get_file_info(paths))

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        return self.attempt(selector.base_dir, lambda: self.store.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        # An object store would keep an empty object for each folder.
        if self.get_type_name() not in _WITHOUT_FOLDERS:
            self.attempt(path, lambda: self.store.create_dir(path, recursive=recursive))

    def delete_dir(self, path: str) -> None:
        self._delete(path, self.store.delete_dir)

    def delete_file(self, path: str) -> None:
        self._delete(path, self.store.delete_file)

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        raise NotImplementedError

    def delete_root_dir_contents(self) -> None:
        raise NotImplementedError

    def move(self, src: str, dest: str) -> None:
        raise NotImplementedError

    def copy_file(self, src: str, dest: str) -> None:
        raise NotImplementedError

    def open_input_file(self, path: str) -> pa.NativeFile:
        return pa.PythonFile(_Reader(self, path), mode="r")

    def open_input_stream(self, path: str) -> pa.NativeFile:
        return self.open_input_file(path)

    def open_output_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        return pa.PythonFile(_Writer(self, path), mode="w")

    def open_append_stream(self, path: str, metadata: Any) -> pa.NativeFile:
        raise NotImplementedError("object stores do not append")

    def attempt(self, path: str, call: Callable[[], T], *, seconds: float | None = CALL_S) -> T:
        """The result of `call`, tried up to three times; `seconds` bounds each try."""
        started = time.monotonic()
        for wait in (*WAITS_S, None):
            try:
                return call() if seconds is None else within(seconds, call)
            except _ANSWERS:
                raise
            except (OSError, pa.ArrowException) as error:
                fault = find_fault(error)
                if wait is None or not fault.passing or time.monotonic() - started > PATIENCE_S:
                    raise fault.error(f"{self.address.protocol}://{path.lstrip('/')}") from error
                logger.warning("%s: %s; trying again in %g s", path, fault.cause, wait)
                # Many workers meet the same outage: they must not come back in step.
                time.sleep(wait * random.uniform(0.5, 1.0))
        raise AssertionError("unreachable")

    def _delete(self, path: str, delete: Callable[[str], None]) -> None:
        tries = 0

        def call() -> None:
            nonlocal tries
            tries += 1
            try:
                delete(path)
            except FileNotFoundError:
                # Gone at the second try: the first has done it, only its reply was lost.
                if tries == 1:
                    raise

        self.attempt(path, call)

    def put(self, path: str, source: Any) -> None:
        """Make all of the open binary file `source` the object `path`."""

        def write() -> None:
            source.seek(0)
            stream = self.store.open_output_stream(path)
            shutil.copyfileobj(source, stream, CHUNK)
            stream.close()

        # Not bounded as a whole: a put that was left behind could end later, over a newer one. Silence on its
        # connection is.
        self.attempt(path, write, seconds=None)


class _Reader(io.RawIOBase):
    """Reads of an object, each tried again on its own."""

    def __init__(self, steady: Steady, path: str):
        super().__init__()
        self._steady, self._path, self._position = steady, path, 0
        self._file = steady.attempt(path, lambda: steady.store.open_input_file(path))
        self._size = steady.attempt(path, self._file.size)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        start = self._position
        length = max(0, self._size - start)
        if size is not None and size >= 0:
            length = min(length, size)
        if not length:
            return b""

        def fetch() -> bytes:
            content = self._file.read_at(length, start)
            if len(content) != length:
                raise OSError(f"{len(content)} bytes instead of {length}")
            return content

        content = self._steady.attempt(self._path, fetch, seconds=CALL_S + length / SLOWEST_BYTES_S)
        self._position = start + length
        return content

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


class _Writer(io.RawIOBase):
    """Collects what is written on this machine's disk and puts it when it is closed."""

    def __init__(self, steady: Steady, path: str):
        super().__init__()
        self._steady, self._path = steady, path
        self._spool = tempfile.SpooledTemporaryFile(max_size=CHUNK)  # noqa: SIM115 (closed in `close`)
        self._whole = True

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        try:
            return self._spool.write(content)
        except OSError:
            self._whole = False
            raise

    def close(self) -> None:
        if self.closed:
            return
        try:
            if self._whole:
                self._steady.put(self._path, self._spool)
        finally:
            self._spool.close()
            super().close()
