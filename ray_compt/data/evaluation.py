"""Samples for evaluation: in order, cut into windows that any process can read, without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ray_compt.data.index import Index
from ray_compt.data.preprocess import Preprocess
from ray_compt.data.samples import BadSample, EvalBatch, RawSample

# A picture uint8 [3, H, W] and its sample's key to another picture of the same shape.
Change = Callable[[torch.Tensor, str], torch.Tensor]


@dataclass(frozen=True)
class EvalWindow:
    """Some samples that follow one another, perhaps over the ends of shards.

    Attributes:
        parts: (shard number, lo, hi) of each shard's part, in order.
    """

    parts: tuple[tuple[int, int, int], ...]


def evaluation_windows(index: Index, samples: int) -> Iterator[EvalWindow]:
    """The whole data set as windows of `samples` samples in the order of the shards; the last may be smaller."""
    parts: list[tuple[int, int, int]] = []
    room = samples
    for number, size in enumerate(index.sizes):
        lo = 0
        while lo < size:
            hi = min(size, lo + room)
            parts.append((number, lo, hi))
            lo, room = hi, room - (hi - lo)
            if not room:
                yield EvalWindow(tuple(parts))
                parts, room = [], samples
    if parts:
        yield EvalWindow(tuple(parts))


def decode_window(
    index: Index, preprocess: Preprocess, window: EvalWindow, change: Change | None = None
) -> EvalBatch:
    """The window's samples that can be decoded, in order; the others are listed in `bad`.

    Args:
        change: is applied to every picture at the model's size.
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
