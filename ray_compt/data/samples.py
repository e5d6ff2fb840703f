"""The records that cross the data room: from a shard on disk to a batch on the worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as the index knows it.

    Attributes:
        path: absolute path or URL.
        samples: usable samples, numbered 0 to samples - 1 in the order of the archive.
        stamp: changes when the file changes (size and modification time or etag).
    """

    path: str
    samples: int
    stamp: str = ""

    def __reduce__(self) -> tuple[type[Shard], tuple[str, int, str]]:
        # Every worker is sent every shard; what dataclasses do for this takes several times as long.
        return Shard, (self.path, self.samples, self.stamp)


@dataclass(frozen=True)
class BadSample:
    """A sample that could not be used.

    Attributes:
        key: the sample's key; empty where damage hid it.
        shard: path of its shard.
        reason: one clause for people.
        count: samples that this entry stands for, more than 1 where they cannot be named one by one.
    """

    key: str
    shard: str
    reason: str
    count: int = 1


@dataclass(frozen=True)
class RawSample:
    """A sample as stored, nothing decoded.

    Attributes:
        key: the sample's key in its shard.
        image: the encoded picture (JPEG, PNG or WebP).
        captions: every caption, the raw one first, at least one.
        label: class name, where the data has classes.
    """

    key: str
    image: bytes
    captions: list[str]
    label: str | None = None


@dataclass(frozen=True)
class Batch:
    """A worker's share of one global batch; n = global_batch / world rows.

    Attributes:
        step: optimizer step, counted from the beginning of the stage.
        image: uint8 [n, 3, H, W], not yet normalised.
        text: int64 [n, K, L] tokens of K captions each.
        valid: bool [n]; a row that could not be decoded is False, its picture and tokens are zeros.
        keys: n sample keys.
        digest: of these samples, readable or not (`sample_digest`).
        bad: the rows that are not valid, with the reason.
        labels: n class names, empty where a sample has none.
    """

    step: int
    image: torch.Tensor
    text: torch.Tensor
    valid: torch.Tensor
    keys: list[str]
    digest: tuple[int, int] = (0, 0)
    bad: list[BadSample] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EvalBatch:
    """Samples for evaluation, in the order of the shards; bad ones are left out, so that n may be 0.

    Attributes:
        image: uint8 [n, 3, H, W], not yet normalised.
        captions: every caption of each sample, the raw one first.
        label: class of each sample, None where it has none.
        keys: n sample keys.
        bad: the samples that were left out.
    """

    image: torch.Tensor
    captions: list[list[str]]
    label: list[str | None]
    keys: list[str]
    bad: list[BadSample] = field(default_factory=list)


def count_reasons(bad: Iterable[BadSample]) -> Counter[str]:
    """How many samples cannot be used for each reason, whose particulars, in brackets, are left out."""
    reasons: Counter[str] = Counter()
    for one in bad:
        reasons[one.reason.partition(" (")[0]] += one.count
    return reasons
