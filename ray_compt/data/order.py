"""Which samples make up which batch: a pure function of (seed, epoch, batch), whatever the number of workers.

An epoch, drawn for two lanes and windows of three batches:

    permuted shards   | shard 2      | shard 0          |shard 3| shard 1        |   turned by a random offset
    lanes             |====== lane 0 =======|====== lane 1 =======| rest: dropped this epoch
    windows of a lane |   w0   |   w1   |w2 |   w0   |   w1   |w2 |  each permuted inside itself
    global batch b    | k samples of lane 0, then k samples of lane 1, ...        k = global_batch / lanes

A worker owns the lanes rank, rank + world, ...; so any worker count that divides the lanes reads the same
global batches. The model is MosaicML Streaming's elastic determinism. Nothing here reads files or knows Ray.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ray_compt.config.schema import Chain
from ray_compt.data.randomness import permutation, stream_key
from ray_compt.errors import UserError


def legal_world_sizes(global_batch: int, lanes: int) -> list[int]:
    """Worker counts, ascending, between which the content of the batches does not change."""
    return [world for world in range(1, lanes + 1) if lanes % world == 0 and global_batch % world == 0]


@dataclass(frozen=True)
class Segment:
    """Consecutive samples [lo, hi) of one shard."""

    shard: int
    lo: int
    hi: int


@dataclass(frozen=True)
class Order:
    """The order of samples for a whole run.

    Attributes:
        seed: the chain's seed.
        sizes: samples of each shard; shards may be empty.
        global_batch: samples of a batch over all workers.
        lanes: number of lanes, a divisor of `global_batch`; it belongs to the run, not to the worker count.
        window_batches: batches that a lane reads and shuffles together.

    Raises:
        UserError: lanes do not divide the batch, or there are fewer samples than one batch.
    """

    seed: int
    sizes: tuple[int, ...]
    global_batch: int
    lanes: int
    window_batches: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))
        if self.global_batch % self.lanes:
            raise UserError(
                f"global_batch {self.global_batch} cannot be split over {self.lanes} lanes",
                mend="choose train.global_batch as a multiple of data.lanes",
            )
        if self.global_batch > self.samples:
            raise UserError(
                f"global_batch {self.global_batch} is larger than the data: {self.samples} usable samples",
                where="train.global_batch",
                mend="lower train.global_batch or add data",
            )

    @cached_property
    def samples(self) -> int:
        # Every look into an epoch asks for it; summed up anew, each would cost O(shards).
        return sum(self.sizes)

    @property
    def per_lane(self) -> int:
        """Samples that each lane gives to a batch."""
        return self.global_batch // self.lanes

    @property
    def batches_per_epoch(self) -> int:
        return self.samples // self.global_batch

    @property
    def windows_per_epoch(self) -> int:
        return math.ceil(self.batches_per_epoch / self.window_batches)

    def epoch(self, epoch: int) -> EpochOrder:
        """The order of one epoch; costs O(shards), everything asked of it afterwards O(log shards)."""
        return EpochOrder(self, epoch)

    def batch(self, epoch: int, b: int) -> list[tuple[int, int]]:
        """Global batch b of an epoch as (shard, index in shard), lane by lane: the reference definition."""
        return self.share(epoch, b, 0, 1)

    def share(self, epoch: int, b: int, rank: int, world: int) -> list[tuple[int, int]]:
        """The rows of `batch(epoch, b)` that worker `rank` of `world` owns, in the order it sees them.

        Raises:
            UserError: `world` does not divide the lanes.
        """
        order = self.epoch(epoch)
        return [row for lane in self.lanes_of(rank, world) for row in order.lane_rows(lane, b)]

    def lanes_of(self, rank: int, world: int) -> range:
        """Lanes that worker `rank` of `world` owns."""
        if self.lanes % world:
            raise UserError(
                f"{world} workers cannot share {self.lanes} lanes evenly",
                mend=f"use one of {legal_world_sizes(self.global_batch, self.lanes)} workers, or change data.lanes",
            )
        return range(rank, self.lanes, world)


def chain_order(chain: Chain, sizes: tuple[int, ...], global_batch: int) -> Order:
    """The order of samples of a chain's stage on shards of `sizes` samples."""
    return Order(chain.seed, sizes, global_batch, chain.data.lanes, chain.data.window_batches)


def window_shuffle(samples: int, seed: int, epoch: int, lane: int, window: int) -> np.ndarray:
    """int64 [samples]: row i of a window's batches is the sample read as number window_shuffle[i]."""
    return permutation(samples, seed, epoch, "window", lane, window)


class EpochOrder:
    """One epoch of an `Order`: its permuted shards and the offset by which they are turned."""

    def __init__(self, order: Order, epoch: int):
        self.order = order
        self.epoch = epoch
        self._shards = permutation(len(order.sizes), order.seed, epoch, "shards")
        sizes = np.asarray(order.sizes, dtype=np.int64)[self._shards]
        self._ends = np.cumsum(sizes)
        self._starts = self._ends - sizes
        # Without the turn a single shard would lose the same tail every epoch, and windows of equal shards
        # would always meet the same partners.
        self._turn = stream_key(order.seed, epoch, "turn") % order.samples

    def window_batches(self, window: int) -> range:
        """Batches of the epoch that `window` covers; the last window may be shorter."""
        first = window * self.order.window_batches
        return range(first, min(first + self.order.window_batches, self.order.batches_per_epoch))

    def segments(self, lane: int, window: int) -> list[Segment]:
        """What a lane reads for a window, in reading order."""
        lo, hi = self._window_span(lane, window)
        return self._segments(lo, hi)

    def segments_until(self, lane: int, window: int) -> list[Segment]:
        """What a lane reads for all windows before `window` together, in reading order."""
        start = self._window_span(lane, 0)[0]
        return self._segments(start, self._window_span(lane, window - 1)[1]) if window else []

    def shuffle(self, lane: int, window: int) -> np.ndarray:
        """int64 [samples of the window]: row i of the window's batches is read sample shuffle[i]."""
        lo, hi = self._window_span(lane, window)
        return window_shuffle(hi - lo, self.order.seed, self.epoch, lane, window)

    def lane_rows(self, lane: int, b: int) -> list[tuple[int, int]]:
        """The (shard, index) of the samples that `lane` gives to batch b."""
        if not 0 <= b < self.order.batches_per_epoch:
            raise IndexError(f"batch {b} of {self.order.batches_per_epoch}")
        window = b // self.order.window_batches
        k = self.order.per_lane
        first = (b - window * self.order.window_batches) * k
        lo, _ = self._window_span(lane, window)
        return [self._locate(lo + int(i)) for i in self.shuffle(lane, window)[first : first + k]]

    def _window_span(self, lane: int, window: int) -> tuple[int, int]:
        k = self.order.per_lane
        start = lane * self.order.batches_per_epoch * k
        batches = self.window_batches(window)
        return start + batches.start * k, start + batches.stop * k

    def _locate(self, position: int) -> tuple[int, int]:
        position = (position + self._turn) % self.order.samples
        i = int(np.searchsorted(self._starts, position, side="right")) - 1
        return int(self._shards[i]), position - int(self._starts[i])

    def _segments(self, lo: int, hi: int) -> list[Segment]:
        found = []
        while lo < hi:
            position = (lo + self._turn) % self.order.samples
            i = int(np.searchsorted(self._starts, position, side="right")) - 1
            count = min(int(self._ends[i]) - position, hi - lo)
            first = position - int(self._starts[i])
            found.append(Segment(int(self._shards[i]), first, first + count))
            lo += count
        return found
