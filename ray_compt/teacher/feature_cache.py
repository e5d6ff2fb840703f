"""Features on a disk or in an object store: files of float16 in sample order, which name what they belong to.

    PATH/features-IDENTITY/
      identity.json                           what IDENTITY is the hash of, for people
      epoch-KKKK/shard-SSSSS/
        LLLLLLLL-HHHHHHHH.arrow               samples [L, H) of shard S, as drawn in epoch K
        LLLLLLLL-HHHHHHHH.part.arrow          the same, with gaps

Arrow IPC, because the numbers cannot be compressed and reading then decodes nothing. A file carries a checksum and the
identity, and is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ray_compt.data.table_cache import table_bytes
from ray_compt.errors import UserError
from ray_compt.models.checksums import document_digest
from ray_compt.storage import Place, open_place
from ray_compt.teacher.feature_ranges import StoredRange

IDENTITY_FILE = "identity.json"
_HEADER = b"ray_compt.features"


@dataclass(frozen=True)
class CacheSpec:
    """Which features are kept where; small and picklable.

    Attributes:
        path: absolute path or URL of `teacher.cache`.
        identity: everything that the features are a function of but epoch and sample, as JSON.
        width: of the embedding, E.
        captions: captions of a picture, K.
        augment_epochs: epochs after which the same features come again; None: never.
    """

    path: str
    identity: dict[str, Any]
    width: int
    captions: int
    augment_epochs: int | None = None

    @cached_property
    def digest(self) -> str:
        """Hash of the identity."""
        return document_digest(self.identity)

    @property
    def folder(self) -> Place:
        return open_place(self.path) / f"features-{self.digest}"

    @property
    def sample_bytes(self) -> int:
        """What the features of one sample take."""
        return (1 + self.captions) * self.width * 2


class DamagedFeatures(Exception):
    """A cache file that is not what was written, or belongs to something else."""


@dataclass(frozen=True)
class Features:
    """Features of consecutive samples.

    Attributes:
        image: float16 [n, E].
        text: float16 [n, K, E].
        known: bool [n]; the others are zeros.
    """

    image: np.ndarray
    text: np.ndarray
    known: np.ndarray

    @classmethod
    def empty(cls, samples: int, spec: CacheSpec) -> Features:
        shape = (samples, spec.captions, spec.width)
        image = np.zeros((samples, spec.width), dtype=np.float16)
        return cls(image, np.zeros(shape, dtype=np.float16), np.zeros(samples, dtype=bool))

    def __getitem__(self, span: slice) -> Features:
        return Features(self.image[span], self.text[span], self.known[span])

    def fill(self, at: slice, other: Features) -> None:
        """Take over what `other` knows of the samples `at` and this does not."""
        new = np.arange(at.start, at.stop)[other.known & ~self.known[at]]
        self.put(new, other.image[new - at.start], other.text[new - at.start])

    def put(self, rows: np.ndarray, image: np.ndarray, text: np.ndarray) -> None:
        """Set the features of samples; those that are not finite do not become known."""
        self.image[rows], self.text[rows] = image, text
        self.known[rows] = np.isfinite(image).all(axis=1) & np.isfinite(text).all(axis=(1, 2))


class FeatureCache:
    """The files of one identity."""

    def __init__(self, spec: CacheSpec):
        self.spec = spec
        self._folder = spec.folder

    def __str__(self) -> str:
        return str(self._folder)

    def claim(self) -> None:
        """Write the identity beside the files, or check that it is ours.

        Raises:
            UserError: the folder holds another identity than its name says.
            OSError, StorageError: it can be neither read nor written.
        """
        file = self._folder / IDENTITY_FILE
        try:
            found = json.loads(file.read_text())
        except FileNotFoundError:
            file.write_text(json.dumps(self.spec.identity, indent=1, sort_keys=True) + "\n")
            return
        except (ValueError, RecursionError):
            found = None
        if found != json.loads(json.dumps(self.spec.identity)):
            raise UserError(
                "the features here belong to another teacher or other data than the folder's name says",
                where=str(file),
                mend=f"remove {self._folder}, or give another teacher.cache",
            )

    def ranges(self, epoch: int, shard: int) -> list[StoredRange]:
        """What is kept of a shard as drawn in an epoch. Raises OSError or StorageError."""
        names = self._shard(epoch, shard).names()
        return [found for found in map(StoredRange.parse, names) if found is not None]

    def read(self, epoch: int, shard: int, stored: StoredRange) -> Features:
        """One file's features.

        Raises:
            DamagedFeatures: it is not what was written.
            OSError, StorageError: it cannot be read.
        """
        content = (self._shard(epoch, shard) / stored.name).read_bytes()
        try:
            table = pa.ipc.open_file(pa.py_buffer(content)).read_all().combine_chunks()
            features = self._from_table(table, stored)
            header = json.loads(table.schema.metadata[_HEADER])
        except (pa.ArrowException, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DamagedFeatures("it is no file of features") from error
        place = self._place(epoch, shard, stored)
        if {key: header.get(key) for key in place} != place:
            raise DamagedFeatures("it belongs elsewhere")
        if header.get("checksum") != _checksum(place, features):
            raise DamagedFeatures("its checksum is wrong")
        return features

    def write(self, epoch: int, shard: int, stored: StoredRange, features: Features) -> None:
        """Write a file, replacing it. Raises OSError or StorageError."""
        place = self._place(epoch, shard, stored)
        header = {**place, "checksum": _checksum(place, features)}
        table = _table(features).replace_schema_metadata({_HEADER: json.dumps(header)})
        (self._shard(epoch, shard) / stored.name).write_bytes(table_bytes(table))

    def remove(self, epoch: int, shard: int, stored: StoredRange) -> None:
        """Remove a file; an absent one is no error. Raises OSError or StorageError."""
        (self._shard(epoch, shard) / stored.name).remove()

    def file(self, epoch: int, shard: int, stored: StoredRange) -> str:
        """A file's path or URL, for messages."""
        return str(self._shard(epoch, shard) / stored.name)

    def _shard(self, epoch: int, shard: int) -> Place:
        return self._folder / f"epoch-{epoch:04d}" / f"shard-{shard:05d}"

    def _place(self, epoch: int, shard: int, stored: StoredRange) -> dict[str, Any]:
        return {
            "identity": self.spec.digest,
            "epoch": epoch,
            "shard": shard,
            "lo": stored.lo,
            "hi": stored.hi,
        }

    def _from_table(self, table: pa.Table, stored: StoredRange) -> Features:
        """The columns as arrays, views of the file's content. Raises ValueError where the shapes are others."""
        samples = stored.hi - stored.lo
        image = _values(table.column("image")).reshape(samples, self.spec.width)
        text = _values(table.column("text")).reshape(samples, self.spec.captions, self.spec.width)
        known = table.column("known").to_numpy()
        if (image.dtype, text.dtype, known.dtype, len(known)) != (np.float16, np.float16, bool, samples):
            raise ValueError("other columns")
        return Features(image, text, known)


def _table(features: Features) -> pa.Table:
    captions, width = features.text.shape[1:]
    image = pa.FixedSizeListArray.from_arrays(pa.array(features.image.reshape(-1)), width)
    text = pa.FixedSizeListArray.from_arrays(pa.array(features.text.reshape(-1)), width)
    text = pa.FixedSizeListArray.from_arrays(text, captions)
    return pa.table({"image": image, "text": text, "known": pa.array(features.known)})


def _values(column: pa.ChunkedArray) -> np.ndarray:
    """All numbers of a column of (lists of) lists, flat."""
    values = column.combine_chunks()
    while isinstance(values, (pa.ChunkedArray, pa.FixedSizeListArray)):
        values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values.flatten()
    return values.to_numpy(zero_copy_only=False)


def _checksum(place: dict[str, Any], features: Features) -> str:
    digest = hashlib.blake2b(json.dumps(place, sort_keys=True).encode(), digest_size=16)
    for part in (features.image, features.text, features.known):
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
