"""What each batch of an order must have used: the digests (`sample_digest`) that training is held against.

The plan is worked out from `Order` alone, sample by sample; nothing that a run recorded enters it. Memory does not
grow with the samples but for one bit each: a lane is a run of neighbouring shards, so lane by lane every shard is
needed once.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from ray_compt.data.index import Index
from ray_compt.data.order import EpochOrder, Order
from ray_compt.data.sample_digest import shard_words, to_text
from ray_compt.errors import UserError

# Samples whose words (16 bytes each) stay in memory for the next epoch.
KEPT_SAMPLES = 1 << 24
_KEYS_KEPT = 8
_ONES = np.array([number.bit_count() for number in range(256)], dtype=np.uint8)


class Samples:
    """Every usable sample of an index, numbered through all shards; looked up shard by shard when needed.

    Attributes:
        index: where they come from.
        unknown: path and reason of the shards met so far whose keys, and so the words, cannot be known.
    """

    def __init__(self, index: Index):
        self.index = index
        self.unknown: dict[str, str] = {}
        self._ends = np.cumsum(index.sizes)
        self._keys = functools.lru_cache(maxsize=_KEYS_KEPT)(index.source.keys)
        self._words: OrderedDict[int, np.ndarray | None] = OrderedDict()
        self._kept = 0

    def words(self, shard: int) -> np.ndarray | None:
        """uint64 [samples of the shard, 2], `sample_words` of each; None where the keys cannot be known."""
        if shard in self._words:
            self._words.move_to_end(shard)
            return self._words[shard]
        found = self._words[shard] = self._find_words(shard)
        self._kept += 0 if found is None else len(found)
        while self._kept > KEPT_SAMPLES and len(self._words) > 1:
            _, dropped = self._words.popitem(last=False)
            self._kept -= 0 if dropped is None else len(dropped)
        return found

    def _find_words(self, shard: int) -> np.ndarray | None:
        try:
            return shard_words(shard, self.index.source.keys(self.index.shards[shard]))
        except (UserError, OSError) as error:
            self.unknown[self.index.shards[shard].path] = getattr(error, "message", str(error))
            return None

    def name(self, number: int) -> str:
        """SHARD/KEY of a sample for people; SHARD/#i where its key cannot be known."""
        i = int(np.searchsorted(self._ends, number, side="right"))
        shard = self.index.shards[i]
        place = number - int(self._ends[i]) + shard.samples
        try:
            key = self._keys(shard)[place]
        except (UserError, OSError):
            key = f"#{place}"
        return f"{shard.path.rpartition('/')[2]}/{key}"


@dataclass(frozen=True, eq=False)
class PlannedEpoch:
    """One epoch of a plan.

    Attributes:
        words: uint64 [batches, 2], the sums of each batch's words.
        known: bool [batches]; False where the words of a sample are not known.
        distinct: different samples in all batches.
    """

    words: np.ndarray
    known: np.ndarray
    distinct: int

    def digest(self, b: int) -> str | None:
        """Of batch b, as in metrics.jsonl; None where a sample of it is not known."""
        low, high = self.words[b]
        return to_text((int(low), int(high))) if self.known[b] else None


class Plan:
    """An order of samples, worked out epoch by epoch; the sums of epochs that were asked for are kept."""

    def __init__(self, order: Order, samples: Samples):
        self.order, self.samples = order, samples
        self._epochs: dict[int, PlannedEpoch] = {}
        self._starts = np.cumsum((0, *order.sizes))
        self._order_of = functools.lru_cache(maxsize=2)(order.epoch)

    def epoch(self, number: int) -> PlannedEpoch:
        """The digests of an epoch's batches."""
        if number not in self._epochs:
            self._epochs[number] = self._work_out(self._order_of(number))
        return self._epochs[number]

    def batch(self, epoch: int, b: int) -> np.ndarray:
        """int64 [global_batch]: numbers of the samples of a batch."""
        order, window = self._order_of(epoch), b // self.order.window_batches
        row = b - window * self.order.window_batches
        lanes = [
            self._read_numbers(order, lane, window)[self._shuffle(order, lane, window)[row]]
            for lane in range(self.order.lanes)
        ]
        return np.concatenate(lanes)

    def _work_out(self, epoch: EpochOrder) -> PlannedEpoch:
        words = np.zeros((self.order.batches_per_epoch, 2), dtype=np.uint64)
        known = np.ones(self.order.batches_per_epoch, dtype=bool)
        seen = np.zeros(-(-self.order.samples // 8), dtype=np.uint8)
        for lane in range(self.order.lanes):
            for window in range(self.order.windows_per_epoch):
                shuffle = self._shuffle(epoch, lane, window)
                batches = epoch.window_batches(window)
                here = slice(batches.start, batches.stop)
                its_words, its_known = self._read_words(epoch, lane, window)
                # NumPy's unsigned sums wrap at 2^64, as ours do.
                words[here] += its_words[shuffle].sum(axis=1)
                known[here] &= its_known[shuffle].all(axis=1)
                numbers = self._read_numbers(epoch, lane, window)[shuffle.ravel()]
                np.bitwise_or.at(seen, numbers >> 3, (1 << (numbers & 7)).astype(np.uint8))
        return PlannedEpoch(words, known, int(_ONES[seen].sum(dtype=np.int64)))

    def _shuffle(self, epoch: EpochOrder, lane: int, window: int) -> np.ndarray:
        """int64 [batches of the window, samples of a lane]: which of the samples read is where."""
        return epoch.shuffle(lane, window).reshape(-1, self.order.per_lane)

    def _read_numbers(self, epoch: EpochOrder, lane: int, window: int) -> np.ndarray:
        """int64 [n]: numbers of the samples that are read for a lane and window."""
        parts = epoch.segments(lane, window)
        return np.concatenate([np.arange(part.lo, part.hi) + self._starts[part.shard] for part in parts])

    def _read_words(self, epoch: EpochOrder, lane: int, window: int) -> tuple[np.ndarray, np.ndarray]:
        """Words of the same samples, uint64 [n, 2], and bool [n] whether they are known."""
        words, known = [], []
        for part in epoch.segments(lane, window):
            found = self.samples.words(part.shard)
            samples = part.hi - part.lo
            words.append(np.zeros((samples, 2), np.uint64) if found is None else found[part.lo : part.hi])
            known.append(np.full(samples, found is not None))
        return np.concatenate(words), np.concatenate(known)
