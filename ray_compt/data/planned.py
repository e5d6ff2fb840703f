"""What each batch of an order must have used: the digests (`sample_digest`) that training is held against.

The plan is worked out from `Order` alone, sample by sample; nothing that a run recorded enters it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ray_compt.data.index import Index
from ray_compt.data.order import EpochOrder, Order
from ray_compt.data.sample_digest import shard_words, to_text, total
from ray_compt.data.samples import Shard
from ray_compt.errors import UserError

_SHARDS_KEPT = 64


@dataclass(frozen=True)
class Samples:
    """Every usable sample of an index, numbered through all shards.

    Attributes:
        index: where they come from.
        keys: all keys of a shard, in order.
        words: uint64 [N, 2], `sample_words` of each.
        known: bool [N]; False where the key, and so the words, cannot be known.
        unknown: the shards whose keys cannot be known: (path, reason).
    """

    index: Index
    keys: Callable[[Shard], list[str]]
    words: np.ndarray
    known: np.ndarray
    unknown: tuple[tuple[str, str], ...]

    def name(self, number: int) -> str:
        """SHARD/KEY of a sample for people; SHARD/#i where its key cannot be known."""
        ends = np.cumsum(self.index.sizes)
        i = int(np.searchsorted(ends, number, side="right"))
        shard = self.index.shards[i]
        place = number - int(ends[i]) + shard.samples
        key = self.keys(shard)[place] if self.known[number] else f"#{place}"
        return f"{shard.path.rpartition('/')[2]}/{key}"


def load_samples(index: Index) -> Samples:
    """Every sample's words, from the tables of the index."""
    keys = functools.lru_cache(maxsize=_SHARDS_KEPT)(index.source.keys)
    words = np.zeros((index.samples, 2), dtype=np.uint64)
    known = np.ones(index.samples, dtype=bool)
    unknown = []
    end = 0
    for number, shard in enumerate(index.shards):
        start, end = end, end + shard.samples
        try:
            words[start:end] = shard_words(number, keys(shard))
        except (UserError, OSError) as error:
            known[start:end] = False
            unknown.append((shard.path, getattr(error, "message", str(error))))
    return Samples(index, keys, words, known, tuple(unknown))


@dataclass(frozen=True)
class PlannedEpoch:
    """One epoch of a plan.

    Attributes:
        digests: of each batch, as in metrics.jsonl; None where a sample of it is not known.
        distinct: different samples in all its batches.
    """

    digests: tuple[str | None, ...]
    distinct: int


class Plan:
    """An order of samples, worked out epoch by epoch; epochs that were asked for are kept."""

    def __init__(self, order: Order, samples: Samples):
        self.order, self.samples = order, samples
        self._epochs: dict[int, PlannedEpoch] = {}
        self._starts = np.cumsum((0, *order.sizes))

    def epoch(self, number: int) -> PlannedEpoch:
        """The digests of an epoch's batches."""
        if number not in self._epochs:
            self._epochs[number] = self._work_out(self.order.epoch(number))
        return self._epochs[number]

    def batch(self, epoch: int, b: int) -> np.ndarray:
        """int64 [global_batch]: numbers of the samples of a batch."""
        window = b // self.order.window_batches
        return self._window(self.order.epoch(epoch), window)[b - window * self.order.window_batches]

    def _work_out(self, epoch: EpochOrder) -> PlannedEpoch:
        seen = np.zeros(self.order.samples, dtype=bool)
        digests: list[str | None] = []
        for window in range(self.order.windows_per_epoch):
            for batch in self._window(epoch, window):
                seen[batch] = True
                known = self.samples.known[batch].all()
                digests.append(to_text(total(*self.samples.words[batch].T)) if known else None)
        return PlannedEpoch(tuple(digests), int(seen.sum()))

    def _window(self, epoch: EpochOrder, window: int) -> np.ndarray:
        """int64 [batches of the window, global_batch]: numbers of the samples that workers read for a window."""
        batches = len(epoch.window_batches(window))
        lanes = []
        for lane in range(self.order.lanes):
            parts = [
                np.arange(part.lo, part.hi) + self._starts[part.shard]
                for part in epoch.segments(lane, window)
            ]
            read = np.concatenate(parts)[epoch.shuffle(lane, window)]
            lanes.append(read.reshape(batches, self.order.per_lane))
        return np.concatenate(lanes, axis=1)
