"""The index of a data set: which samples there are, and how any run of them is read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ray_compt.config.schema import DataConfig
from ray_compt.data.named import named_source
from ray_compt.data.samples import BadSample, RawSample, Shard
from ray_compt.data.shard_table import Fields
from ray_compt.data.source import Progress, Source
from ray_compt.data.webdataset import WebDatasetSource
from ray_compt.storage import Place, is_url


@dataclass(frozen=True)
class Index:
    """A data set, small and picklable; offsets inside shards stay in the cache and are loaded by readers.

    Attributes:
        source: how samples are read.
        shards: shards that have usable samples.
        bad: samples that indexing had to leave out; one entry may stand for several (`count`), so that their number
            is bounded by that of the shards.
        class_names: classes that occur, sorted (digits: by value); empty where there are none.
        digest: hash of the usable samples, equal for equal shards wherever they lie.
    """

    source: Source
    shards: tuple[Shard, ...]
    bad: list[BadSample]
    class_names: list[str]
    digest: str

    @cached_property
    def samples(self) -> int:
        """Usable samples."""
        return sum(self.sizes)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Usable samples of each shard, as `Order` wants them."""
        return tuple(shard.samples for shard in self.shards)

    @property
    def bad_samples(self) -> int:
        """Samples left out, as far as they could be counted."""
        return sum(one.count for one in self.bad)

    def read(self, shard: int, lo: int, hi: int) -> Iterator[RawSample]:
        """Samples [lo, hi) of shard number `shard`, in order.

        Raises:
            OSError: the shard cannot be reached.
            UserError: the shard changed since it was indexed.
        """
        return self.source.read(self.shards[shard], lo, hi)


def open_index(
    spec: str | Sequence[str],
    data: DataConfig,
    cache: str | Path | Place,
    *,
    on_progress: Progress | None = None,
) -> Index:
    """Resolve `spec` and index its shards, each only once: tables are kept under `cache`.

    New shards are walked by Ray tasks where Ray runs, by a few threads otherwise.

    Args:
        spec: builtin:digits/train, builtin:digits/val, folder:PATH, torchvision:NAME/SPLIT?root=PATH, or shards as
            `patterns.find_shards` takes them.
        data: its caption_field and class_field say what is looked for.
        cache: folder or URL; one that cannot be written costs a walk at each start, nothing else.
        on_progress: called with (shards done, shards in all) as new shards are walked.

    Raises:
        UserError: no shards, unreadable shards, or no usable sample.
    """
    return index_of(choose_source(spec, data, str(cache)), _patterns(spec), on_progress)


def index_of(source: Source, patterns: Sequence[str] = (), on_progress: Progress | None = None) -> Index:
    """The index of a source that is there already. Raises UserError where nothing can be used."""
    contents = source.scan(patterns, on_progress)
    return Index(source, contents.shards, list(contents.bad), list(contents.class_names), contents.digest)


def choose_source(spec: str | Sequence[str], data: DataConfig, cache: str) -> Source:
    """How the data that `spec` names is read; nothing is looked up yet."""
    named = named_source(spec)
    if named is not None:
        return named
    # Reading tasks have other working directories.
    folder = cache if is_url(cache) else os.path.abspath(cache)
    return WebDatasetSource(folder, Fields(data.caption_field, data.class_field))


def _patterns(spec: str | Sequence[str]) -> tuple[str, ...]:
    return (spec,) if isinstance(spec, str) else tuple(spec)
