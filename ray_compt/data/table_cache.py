"""Shard tables kept as Arrow IPC files, so that a data set is walked once and not at every start."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from ray_compt.data.samples import BadSample
from ray_compt.data.shard_table import FORMAT, SCHEMA, Fields, ShardSummary, ShardTable
from ray_compt.errors import StorageError
from ray_compt.storage import open_place

logger = logging.getLogger(__name__)

# What reading a file of the cache raises where it is damaged or not there.
DAMAGE = (OSError, StorageError, pa.ArrowException, ValueError, KeyError, TypeError)


def cache_name(path: str, stamp: str, fields: Fields) -> str:
    """File name of a shard's table: another file, another version of it or other fields, another name."""
    identity = json.dumps([FORMAT, path, stamp, asdict(fields)])
    return hashlib.blake2b(identity.encode(), digest_size=16).hexdigest() + ".arrow"


def save_table(shard: ShardTable, cache: str, name: str) -> None:
    """Write the table into the folder or URL `cache`, whole or not at all.

    Raises:
        OSError, StorageError: `cache` cannot be written.
    """
    described = {"summary": json.dumps(asdict(shard.summary))}
    table = shard.rows.replace_schema_metadata(described)
    save_file(table_bytes(table), cache, name)


def table_bytes(table: pa.Table, compression: str | None = None) -> bytes:
    """A table as an Arrow IPC file."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def save_file(content: bytes, cache: str, name: str) -> None:
    """Write a file of the folder or URL `cache`, whole or not at all.

    Raises:
        OSError, StorageError: `cache` cannot be written.
    """
    (open_place(cache) / name).write_bytes(content)


def try_save(save: Callable[[], None], cache: str) -> bool:
    """Call `save`; False, with a warning, where `cache` does not take it: only time is lost."""
    try:
        save()
    except (OSError, StorageError) as error:
        logger.warning(
            "the index cannot be kept in %s (%s); the next start walks the shards again", cache, error
        )
        return False
    return True


def load_table(cache: str, name: str) -> ShardTable | None:
    """The table saved under `name`, None where there is none or it is damaged."""
    try:
        table = pa.ipc.open_file(pa.py_buffer((open_place(cache) / name).read_bytes())).read_all()
        return ShardTable(table.cast(SCHEMA), _summary(table.schema))
    except DAMAGE:
        return None


def load_table_summary(cache: str, name: str) -> ShardSummary | None:
    """The summary of the table saved under `name`, without its rows; None where there is none or it is damaged."""
    try:
        with (open_place(cache) / name).open() as file:
            return _summary(pa.ipc.open_file(file).schema)
    except DAMAGE:
        return None


def _summary(schema: Any) -> ShardSummary:
    described = json.loads(schema.metadata[b"summary"])
    for what in ("bad", "damage"):
        described[what] = tuple(BadSample(**one) for one in described[what])
    return ShardSummary(**{**described, "labels": tuple(described["labels"])})
