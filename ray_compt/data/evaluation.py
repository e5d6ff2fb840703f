"""Samples for evaluation: in order, in this process, without Ray."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ray_compt.data.index import Index
from ray_compt.data.preprocess import Preprocess
from ray_compt.data.samples import BadSample, EvalBatch, RawSample


def evaluation_batches(index: Index, preprocess: Preprocess, batch: int) -> Iterator[EvalBatch]:
    """Every sample that can be decoded, `batch` at a time, in the order of the shards; the last may be smaller.

    Samples that cannot be decoded are left out and listed in the `bad` of the batch in which they would be.
    Where nothing at all can be decoded, nothing is yielded.
    """
    pictures: list[torch.Tensor] = []
    samples: list[RawSample] = []
    bad: list[BadSample] = []
    for shard, raw in _samples(index, batch):
        try:
            picture = preprocess.evaluate(raw)
        # Pillow raises nearly every exception there is on a broken picture.
        except Exception as error:
            bad.append(BadSample(raw.key, shard, f"cannot be decoded: {error}"))
            continue
        if len(samples) == batch:
            yield _eval_batch(pictures, samples, bad)
            pictures, samples, bad = [], [], []
        pictures.append(picture)
        samples.append(raw)
    if samples:
        yield _eval_batch(pictures, samples, bad)


def _samples(index: Index, at_a_time: int) -> Iterator[tuple[str, RawSample]]:
    for number, shard in enumerate(index.shards):
        for lo in range(0, shard.samples, at_a_time):
            for raw in index.read(number, lo, min(lo + at_a_time, shard.samples)):
                yield shard.path, raw


def _eval_batch(pictures: list[torch.Tensor], samples: list[RawSample], bad: list[BadSample]) -> EvalBatch:
    return EvalBatch(
        image=torch.stack(pictures),
        captions=[raw.captions for raw in samples],
        label=[raw.label for raw in samples],
        keys=[raw.key for raw in samples],
        bad=bad,
    )
