"""The two functions that Ray Data runs in its tasks: read a window, decode rows.

Both are plain picklable callables over Arrow and NumPy blocks; heavy imports happen inside, so that a process
that only reads never loads torch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from ray_compt.data.samples import RawSample
from ray_compt.data.source import Source
from ray_compt.data.windows import Row, WindowRead, read_window
from ray_compt.errors import UserError

if TYPE_CHECKING:
    from ray_compt.data.preprocess import Preprocess

ROW_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("image", pa.large_binary()),
        ("captions", pa.list_(pa.string())),
        ("label", pa.string()),
        ("epoch", pa.int64()),
        ("shard", pa.string()),
        ("word_0", pa.uint64()),
        ("word_1", pa.uint64()),
        ("error", pa.string()),
    ]
)
# Blocks are cut by size; this only bounds what one table takes before it is handed on.
_ROWS_PER_TABLE = 128


@dataclass(frozen=True)
class ReadWindows:
    """`WindowRead`s as JSON in, encoded rows out, in the order of the batches."""

    source: Source

    def __call__(self, block: pa.Table) -> Iterator[pa.Table]:
        for content in block.column("window").to_pylist():
            rows = read_window(self.source, WindowRead.from_json(content))
            while some := list(itertools.islice(rows, _ROWS_PER_TABLE)):
                yield _table(some)


@dataclass(frozen=True)
class DecodeRows:
    """Encoded rows in; pictures, tokens and validity out, one row for each.

    The columns: image uint8 [3, H, W], text int32 [K, L], valid bool, key, label, the words uint64 of the batch's
    digest, and shard and error of rows that are not valid.
    """

    preprocess: Preprocess

    def __call__(self, block: pa.Table) -> dict[str, np.ndarray]:
        rows = block.to_pylist()
        shape = self.preprocess
        images = np.zeros((len(rows), 3, shape.image_size, shape.image_size), dtype=np.uint8)
        texts = np.zeros((len(rows), shape.captions_per_image, shape.context_length), dtype=np.int32)
        errors = [self._decode(row, images[i], texts[i]) for i, row in enumerate(rows)]
        return {
            "image": images,
            "text": texts,
            "valid": np.array([not error for error in errors]),
            "key": _strings([row["key"] for row in rows]),
            "label": _strings([row["label"] for row in rows]),
            **{word: np.array([row[word] for row in rows], dtype=np.uint64) for word in ("word_0", "word_1")},
            "shard": _strings([row["shard"] if error else "" for row, error in zip(rows, errors)]),
            "error": _strings(errors),
        }

    def _decode(self, row: dict, image: np.ndarray, text: np.ndarray) -> str:
        if row["error"]:
            return row["error"]
        try:
            picture, tokens = self.preprocess.train(
                RawSample(row["key"], row["image"], row["captions"]), row["epoch"]
            )
        except UserError:
            raise
        # Pillow raises nearly every exception there is on a broken picture, and one that escapes kills the stage.
        except Exception as error:
            return f"cannot be decoded: {error}"
        image[:], text[:] = picture.numpy(), tokens.numpy()
        return ""


def _table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pydict(
        {
            "key": [row.raw.key for row in rows],
            "image": [row.raw.image for row in rows],
            "captions": [row.raw.captions for row in rows],
            "label": [row.raw.label or "" for row in rows],
            "epoch": [row.epoch for row in rows],
            "shard": [row.shard for row in rows],
            "word_0": [row.words[0] for row in rows],
            "word_1": [row.words[1] for row in rows],
            "error": [row.error for row in rows],
        },
        schema=ROW_SCHEMA,
    )


def _strings(values: list[str]) -> np.ndarray:
    return np.array(values, dtype=object)
