"""A run's list of training shards, kept beside their tables, so that its order of samples is known without them.

    index/train-DIGEST.json    {"format": 1, "shards": [[path, samples, stamp], ...]}

DIGEST is `Index.digest`. Data that changes while a run stands still leaves a second list; the ledger says which
one each stage was trained on.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import astuple

from ray_compt.config.schema import DataConfig
from ray_compt.data.index import Index, choose_source
from ray_compt.data.samples import Shard
from ray_compt.data.table_cache import save_file
from ray_compt.errors import StorageError, UserError
from ray_compt.storage import open_place

FORMAT = 1
logger = logging.getLogger(__name__)


def save_listing(index: Index, cache: str) -> None:
    """Keep the list of a training split's shards in the folder or URL `cache`; training goes on without it."""
    content = json.dumps({"format": FORMAT, "shards": [astuple(shard) for shard in index.shards]})
    try:
        save_file(content.encode(), cache, _name(index.digest))
    except (OSError, StorageError) as error:
        logger.warning("the list of shards cannot be kept in %s (%s); `compt verify` needs it", cache, error)


def load_listing(spec: str | Sequence[str], data: DataConfig, cache: str, digest: str) -> Index:
    """The index of a training split, as far as its order of samples needs it; no shard is looked at.

    Args:
        spec, data: as `open_index` takes them.
        cache: folder or URL of the tables and lists.
        digest: the index's digest.

    Returns:
        An index without bad samples and class names.

    Raises:
        UserError: there is no such list, or it cannot be read.
    """
    place = open_place(cache) / _name(digest)
    try:
        stored = json.loads(place.read_bytes())
        if stored["format"] != FORMAT:
            raise ValueError(f"format {stored['format']} is not {FORMAT}")
        shards = tuple(
            Shard(str(path), int(samples), str(stamp)) for path, samples, stamp in stored["shards"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the list of training shards cannot be read ({error})",
            where=str(place),
            mend="restore the run's index folder from a copy, or run `compt train` again, which lists them anew",
        ) from error
    return Index(choose_source(spec, data, cache), shards, [], [], digest)


def _name(digest: str) -> str:
    return f"train-{digest}.json"
