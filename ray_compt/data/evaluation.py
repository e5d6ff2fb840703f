"""Samples for evaluation: in order, cut into windows that any process can read, without Ray."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ray_compt.data.index import Index
from ray_compt.data.preprocess import Preprocess
from ray_compt.data.samples import BadSample, EvalBatch, RawSample

# Of a data set of which only a part is wanted.
LONGEST_STRIP = 16
FEWEST_STRIPS = 1024

# A picture uint8 [3, H, W] and its sample's key to another picture of the same shape.
Change = Callable[[torch.Tensor, str], torch.Tensor]


@dataclass(frozen=True)
class EvalWindow:
    """Some samples that follow one another, perhaps over the ends of shards.

    Attributes:
        parts: (shard number, lo, hi) of each shard's part, in order.
    """

    parts: tuple[tuple[int, int, int], ...]


def evaluation_windows(index: Index, rows: int, samples: int | None = None) -> Iterator[EvalWindow]:
    """The data set as windows of `rows` samples in the order of the shards; the last may be smaller.

    Args:
        index: the data.
        rows: samples of a window.
        samples: take only so many, in short strips that are spread evenly, so that data which lie sorted by class
            keep their classes. None: all.
    """
    parts: list[tuple[int, int, int]] = []
    room = rows
    for number, lo, end in _strips(index, samples):
        while lo < end:
            hi = min(end, lo + room)
            parts.append((number, lo, hi))
            lo, room = hi, room - (hi - lo)
            if not room:
                yield EvalWindow(tuple(parts))
                parts, room = [], rows
    if parts:
        yield EvalWindow(tuple(parts))


def decode_window(
    index: Index, preprocess: Preprocess, window: EvalWindow, change: Change | None = None
) -> EvalBatch:
    """The window's samples that can be decoded, in order; the others are listed in `bad`.

    Args:
        index: the data.
        preprocess: its deterministic side is used.
        window: of that index.
        change: is applied to every picture at the model's size.

    Raises:
        OSError: a shard cannot be reached.
        UserError: a shard changed since it was indexed.
    """
    pictures: list[torch.Tensor] = []
    samples: list[RawSample] = []
    bad: list[BadSample] = []
    for number, lo, hi in window.parts:
        for raw in index.read(number, lo, hi):
            try:
                picture = preprocess.evaluate(raw)
            # Pillow raises nearly every exception there is on a broken picture.
            except Exception as error:
                bad.append(BadSample(raw.key, index.shards[number].path, f"cannot be decoded: {error}"))
                continue
            pictures.append(picture if change is None else change(picture, raw.key))
            samples.append(raw)
    side = preprocess.image_size
    return EvalBatch(
        image=torch.stack(pictures) if pictures else torch.empty((0, 3, side, side), dtype=torch.uint8),
        captions=[raw.captions for raw in samples],
        label=[raw.label for raw in samples],
        keys=[raw.key for raw in samples],
        bad=bad,
    )


def _strips(index: Index, samples: int | None) -> Iterator[tuple[int, int, int]]:
    """(shard number, lo, hi) of the samples to take: whole shards, or `samples` in strips that lie evenly."""
    if samples is None or samples >= index.samples:
        yield from ((number, 0, size) for number, size in enumerate(index.sizes))
        return
    # A strip of neighbours is one request to an object store.
    count = -(-samples // min(LONGEST_STRIP, -(-samples // FEWEST_STRIPS)))
    begins = [0, *itertools.accumulate(index.sizes)]
    for strip in range(count):
        length = (strip + 1) * samples // count - strip * samples // count
        lo = strip * index.samples // count
        while length:
            number = bisect.bisect_right(begins, lo) - 1
            taken = min(length, begins[number + 1] - lo)
            yield number, lo - begins[number], lo - begins[number] + taken
            lo, length = lo + taken, length - taken
