"""Shard tables kept as Arrow IPC files, so that a data set is walked once and not at every start."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

import pyarrow as pa

from ray_compt.data.samples import BadSample
from ray_compt.data.shard_table import FORMAT, SCHEMA, Fields, ShardSummary, ShardTable
from ray_compt.errors import StorageError
from ray_compt.storage import open_place


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
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    save_file(sink.getvalue().to_pybytes(), cache, name)


def save_file(content: bytes, cache: str, name: str) -> None:
    """Write a file of the folder or URL `cache`, whole or not at all.

    Raises:
        OSError, StorageError: `cache` cannot be written.
    """
    (open_place(cache) / name).write_bytes(content)


def load_table(cache: str, name: str) -> ShardTable | None:
    """The table saved under `name`, None where there is none or it is damaged."""
    try:
        table = pa.ipc.open_file(pa.py_buffer((open_place(cache) / name).read_bytes())).read_all()
        described = json.loads(table.schema.metadata[b"summary"])
        for what in ("bad", "damage"):
            described[what] = tuple(BadSample(**one) for one in described[what])
        summary = ShardSummary(**{**described, "labels": tuple(described["labels"])})
        return ShardTable(table.cast(SCHEMA), summary)
    except (OSError, StorageError, pa.ArrowException, ValueError, KeyError, TypeError):
        return None
