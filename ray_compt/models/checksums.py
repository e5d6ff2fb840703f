"""Checksums of files: the one that says what an exported model's files must be, and seals for JSON documents.

STAGE/checksums.json    {"model.safetensors": DIGEST, "open_clip_config.json": DIGEST}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ray_compt.storage import Place, open_place

CHECKSUMS_FILE = "checksums.json"
_SEAL = "checksum"
_CHUNK = 1 << 24
# As safetensors has it.
_LONGEST_HEADER = 100_000_000


def file_digest(file: Path | Place) -> str:
    """blake2b of a file's content, 128 bits in hexadecimal.

    Raises:
        OSError, StorageError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    with open_place(file).open() as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def weights_digest(file: Path | Place) -> str:
    """blake2b of a safetensors file's tensors, their names, shapes and types, 128 bits in hexadecimal.

    Two files of the same weights may differ in bytes: safetensors writes the header's metadata in any order, and we
    write the lineage there.

    Raises:
        OSError, StorageError: it cannot be read.
        ValueError: it is no safetensors file.
    """
    digest = hashlib.blake2b(digest_size=16)
    with open_place(file).open() as stream:
        size = int.from_bytes(stream.read(8), "little")
        if size > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(stream.read(size))
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
        header.pop("__metadata__", None)
        digest.update(json.dumps(header, sort_keys=True).encode())
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_checksums(folder: Path | Place, names: Iterable[str]) -> None:
    """Note the digests of `names`, which are complete, in the folder's `CHECKSUMS_FILE`; atomically."""
    digests = {name: file_digest(folder / name) for name in names}
    (open_place(folder) / CHECKSUMS_FILE).write_text(json.dumps(digests, indent=1) + "\n")


def read_checksums(folder: Path | Place) -> dict[str, str]:
    """The digests that `write_checksums` noted, by file name.

    Raises:
        OSError: there are none.
        ValueError: they cannot be read.
    """
    try:
        found = json.loads((folder / CHECKSUMS_FILE).read_text())
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict) or not all(isinstance(digest, str) for digest in found.values()):
        raise ValueError("it is no list of checksums")
    return found


def faults(folder: Path | Place, digests: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with the files of `digests`, by name: "missing", "damaged", or why it cannot be read."""
    found = {name: _fault(folder / name, digest) for name, digest in digests.items()}
    return {name: fault for name, fault in found.items() if fault}


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON document with its own checksum in it."""
    return {**document, _SEAL: document_digest(document)}


def seal_holds(document: Mapping[str, Any]) -> bool:
    """Whether a sealed document is as it was written; one without a seal passes."""
    bare = {key: value for key, value in document.items() if key != _SEAL}
    return _SEAL not in document or document[_SEAL] == document_digest(bare)


def _fault(file: Path | Place, digest: str) -> str:
    try:
        return "" if file_digest(file) == digest else "damaged"
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def document_digest(document: Mapping[str, Any]) -> str:
    """blake2b of a JSON document, whatever the order of its keys, 128 bits in hexadecimal."""
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()
