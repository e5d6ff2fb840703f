"""What a data set is like: its pictures, its captions, and what cannot be used."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ray_compt.data.evaluation import EvalWindow, evaluation_windows
from ray_compt.data.filesystem import locate_all
from ray_compt.data.index import Index
from ray_compt.data.pictures import decode_picture
from ray_compt.data.samples import count_reasons
from ray_compt.data.source import Progress
from ray_compt.data.webdataset import WebDatasetSource

ROWS = 64
THREADS = 8
REASONS = 5

# n captions -> the length of each, in tokens.
CountTokens = Callable[[list[str]], list[int]]


@dataclass(frozen=True)
class Spread:
    """How n numbers are spread: the smallest, three quantiles, the largest, and the mean."""

    least: float
    low: float
    median: float
    mean: float
    high: float
    most: float


LOW, MEDIAN, HIGH = 0.05, 0.5, 0.95


@dataclass(frozen=True)
class Statistics:
    """What a data set is like.

    Attributes:
        shards: that have usable samples.
        samples: usable by the index.
        looked_at: of these, how many were read and decoded; what follows speaks of them.
        width, height: of a picture, pixels.
        picture_bytes: of an encoded picture.
        captions: of a picture.
        tokens: of a caption, the two at its ends included.
        context: most tokens that the model reads.
        cut: share of the captions that are longer.
        mb_per_sample: 10^6 bytes of shard for each sample, all files of it; None where there are no shards on disk.
        unindexed: samples that indexing had to leave out.
        undecodable: of `looked_at`, pictures that cannot be decoded.
        reasons: the commonest reasons of both, and how many samples have each.
    """

    shards: int
    samples: int
    looked_at: int
    width: Spread | None
    height: Spread | None
    picture_bytes: Spread | None
    captions: Spread | None
    tokens: Spread | None
    context: int
    cut: float
    mb_per_sample: float | None
    unindexed: int
    undecodable: int
    reasons: dict[str, int]


def data_statistics(
    index: Index,
    count_tokens: CountTokens,
    context: int,
    samples: int | None = None,
    on_progress: Progress | None = None,
) -> Statistics:
    """Read and decode samples, and say what they are like.

    Args:
        index: the data.
        count_tokens: of the model's tokenizer.
        context: tokens that the model reads.
        samples: look at only so many, spread evenly over the shards; None: all.
        on_progress: called with (samples looked at, samples to look at).

    Raises:
        OSError: a shard cannot be reached.
        UserError: a shard changed since it was indexed.
    """
    seen = _Seen()
    wanted = index.samples if samples is None else min(samples, index.samples)
    with ThreadPoolExecutor(THREADS) as pool:
        for window in pool.map(partial(_look, index, count_tokens), evaluation_windows(index, ROWS, samples)):
            seen.add(window)
            if on_progress is not None:
                on_progress(seen.count, wanted)
    reasons = seen.reasons + count_reasons(index.bad)
    captions = sum(seen.tokens.values())
    return Statistics(
        shards=len(index.shards),
        samples=index.samples,
        looked_at=seen.count,
        width=spread_of(seen.widths),
        height=spread_of(seen.heights),
        picture_bytes=spread_of(seen.bytes),
        captions=spread_of(seen.captions),
        tokens=spread_of(seen.tokens),
        context=context,
        cut=sum(count for length, count in seen.tokens.items() if length > context) / max(captions, 1),
        mb_per_sample=_mb_per_sample(index),
        unindexed=index.bad_samples,
        undecodable=seen.undecodable,
        reasons=dict(reasons.most_common(REASONS)),
    )


def spread_of(numbers: Counter[int]) -> Spread | None:
    """The spread of numbers, given how often each occurs; None where there are none.

    A quantile q of n numbers is the smallest of which at least q n are no larger.
    """
    total = sum(numbers.values())
    if not total:
        return None
    ordered = sorted(numbers)
    mean = math.fsum(number * count for number, count in numbers.items()) / total
    low, median, high = (_quantile(numbers, ordered, share * total) for share in (LOW, MEDIAN, HIGH))
    return Spread(ordered[0], low, median, mean, high, ordered[-1])


def _quantile(numbers: Counter[int], ordered: Sequence[int], wanted: float) -> int:
    seen = 0
    for number in ordered:
        seen += numbers[number]
        if seen >= wanted:
            return number
    return ordered[-1]


class _Seen:
    """What was seen so far; how often each number occurs, so that memory does not grow with the samples."""

    def __init__(self) -> None:
        self.count = self.undecodable = 0
        self.widths: Counter[int] = Counter()
        self.heights: Counter[int] = Counter()
        self.bytes: Counter[int] = Counter()
        self.captions: Counter[int] = Counter()
        self.tokens: Counter[int] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, other: _Seen) -> None:
        self.count += other.count
        self.undecodable += other.undecodable
        for name in ("widths", "heights", "bytes", "captions", "tokens", "reasons"):
            getattr(self, name).update(getattr(other, name))


def _look(index: Index, count_tokens: CountTokens, window: EvalWindow) -> _Seen:
    seen = _Seen()
    for number, lo, hi in window.parts:
        for raw in index.read(number, lo, hi):
            seen.count += 1
            seen.bytes[len(raw.image)] += 1
            seen.captions[len(raw.captions)] += 1
            seen.tokens.update(count_tokens(raw.captions))
            try:
                width, height = decode_picture(raw.image).size
            # Pillow raises nearly every exception there is on a broken picture.
            except Exception as error:
                seen.undecodable += 1
                seen.reasons[f"picture: {_short(error)}"] += 1
                continue
            seen.widths[width] += 1
            seen.heights[height] += 1
    return seen


def _short(error: Exception) -> str:
    """The cause without its particulars, which are another's for each picture."""
    return str(error).partition(" (")[0].partition(" <")[0] or type(error).__name__


def _mb_per_sample(index: Index) -> float | None:
    if not isinstance(index.source, WebDatasetSource):
        return None
    total = sum(place.size for place in locate_all([shard.path for shard in index.shards]))
    return total / 1e6 / index.samples
