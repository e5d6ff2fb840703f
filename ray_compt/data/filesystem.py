"""Any file system that fsspec or pyarrow knows, opened from a path or URL, under fsspec's interface.

s3:// goes through pyarrow with the time-outs and retries of `ray_compt.storage`. For everything else fsspec
goes first, because it reads byte ranges of every protocol; where its driver is not installed (gcsfs), pyarrow
stands in.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.arrow import ArrowFSWrapper
from fsspec.implementations.local import LocalFileSystem

from ray_compt.errors import UserError

_KINDS = ("file", "directory")
_PARALLEL_LOOKUPS = 16
# Fewer look-ups than this are made one by one: the folder may hold much else.
WORTH_LISTING = 256
# What the drivers call the thing that changes when a file changes, best first.
_VERSION_FIELDS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True, slots=True)
class Location:
    """A place that was looked up: `stamp` changes when the file there changes."""

    url: str
    exists: bool
    is_folder: bool = False
    size: int = 0
    stamp: str = ""


def open_filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of a path or URL, and the path inside it.

    Raises:
        UserError: the protocol is unknown or its driver is not installed.
    """
    if url.startswith("s3://"):
        return _through_pyarrow(url)
    try:
        return url_to_fs(url)
    except ImportError:
        return _through_pyarrow(url)
    # Drivers raise what they like, some of it from far below; here and in the look-ups it is all the same.
    except Exception as error:
        raise UserError(
            f"cannot be opened: {_first_line(error)}",
            where=url,
            mend="use a local path or a URL such as s3://",
        ) from error


def locate(url: str) -> Location:
    """Look one path or URL up; a missing one has `exists` False."""
    filesystem, path = open_filesystem(url)
    try:
        info = filesystem.info(path)
    except FileNotFoundError:
        return Location(url, exists=False)
    except Exception as error:
        raise _no_access(url, error) from error
    if info["type"] not in _KINDS:
        # Reading a pipe would wait for ever, and a device has no end.
        raise UserError("no regular file", where=url, mend="name a file, or a folder of them")
    return _location(filesystem, url, path, info)


def locate_all(urls: Sequence[str]) -> list[Location]:
    """Look many up. Where a list of a folder tells the same as each look-up, the folder is listed instead."""
    folders: dict[str, list[str]] = {}
    for url in urls:
        folders.setdefault(url.rpartition("/")[0], []).append(url)
    found: dict[str, Location] = {}
    for members in folders.values():
        filesystem, path = open_filesystem(members[0])
        if len(members) >= WORTH_LISTING and isinstance(filesystem, (ArrowFSWrapper, LocalFileSystem)):
            found.update(_listed(filesystem, path.rpartition("/")[0], members))
        else:
            with ThreadPoolExecutor(_PARALLEL_LOOKUPS) as pool:
                found.update(zip(members, pool.map(locate, members)))
    return [found[url] for url in urls]


def _listed(filesystem: fsspec.AbstractFileSystem, folder: str, urls: Sequence[str]) -> dict[str, Location]:
    """Places in one folder, from a list of what lies in it: in an object store a request for a thousand files."""
    try:
        entries = {entry["name"]: entry for entry in filesystem.ls(folder, detail=True)}
    except FileNotFoundError:
        entries = {}
    except Exception as error:
        raise _no_access(urls[0], error) from error
    found = {}
    for url in urls:
        path = f"{folder}/{url.rpartition('/')[2]}"
        entry = entries.get(path)
        if entry is None:
            found[url] = Location(url, exists=False)
        elif entry["type"] in _KINDS:
            found[url] = _location(filesystem, url, path, entry)
        else:
            # fsspec's lists do not say where a link leads to.
            found[url] = locate(url)
    return found


def glob_files(url: str) -> list[Location]:
    """Files that a glob matches, sorted by path."""
    filesystem, path = open_filesystem(url)
    try:
        found = filesystem.glob(path, detail=True)
    except Exception as error:
        raise _no_access(url, error) from error
    files = sorted((name, info) for name, info in found.items() if info["type"] == "file")
    return [_location(filesystem, url, name, info) for name, info in files]


def read_ranges(
    filesystem: fsspec.AbstractFileSystem, path: str, ranges: list[tuple[int, int]]
) -> list[bytes]:
    """The bytes [start, end) of each range, one request a range."""
    if isinstance(filesystem, ArrowFSWrapper):
        # fsspec would open the file, which is a request too, for every range.
        with filesystem.fs.open_input_file(path) as file:
            return [file.read_at(end - start, start) for start, end in ranges]
    if len(ranges) == 1:
        return [filesystem.cat_file(path, start=ranges[0][0], end=ranges[0][1])]
    starts, ends = zip(*ranges)
    return filesystem.cat_ranges([path] * len(ranges), list(starts), list(ends), on_error="raise")


def open_file(filesystem: fsspec.AbstractFileSystem, path: str, read_ahead: int) -> BinaryIO:
    """Open a file for seeking and small reads, fetching `read_ahead` bytes at a time from a remote store."""
    file = filesystem.open(path, "rb", block_size=read_ahead)
    # pyarrow's files read no further than they are asked to.
    return io.BufferedReader(file, read_ahead) if isinstance(filesystem, ArrowFSWrapper) else file


def _no_access(url: str, error: Exception) -> UserError:
    return UserError(
        f"cannot be looked up: {_first_line(error)}",
        where=_short(url),
        mend="check the path and the access rights",
    )


def _first_line(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return next(iter(text.splitlines()), "") or type(error).__name__


def _short(url: str) -> str:
    return url if len(url) <= 200 else f"{url[:100]} ... ({len(url):,} characters)"


def _location(filesystem: fsspec.AbstractFileSystem, url: str, path: str, info: dict[str, Any]) -> Location:
    size = int(info.get("size") or 0)
    version = next((str(info[field]) for field in _VERSION_FIELDS if info.get(field)), "")
    folder = info["type"] == "directory"
    return Location(_with_protocol(filesystem, url, path), True, folder, size, f"{size}:{version}")


def _with_protocol(filesystem: fsspec.AbstractFileSystem, url: str, path: str) -> str:
    if "://" not in url or "://" in path:
        return path
    protocol = url.split("://", 1)[0]
    return path if protocol in ("file", "local") else f"{protocol}://{path.lstrip('/')}"


def _through_pyarrow(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    from ray_compt.storage.steady import steady_filesystem

    filesystem, path = steady_filesystem(url)
    # fsspec would keep every instance for the life of the process.
    return ArrowFSWrapper(filesystem, skip_instance_cache=True), path
