"""What a stage wants of the feature cache: how much it may add, and whether everything is there already."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from ray_compt.data.order import EpochOrder, Order
from ray_compt.teacher.feature_cache import CacheSpec, FeatureCache
from ray_compt.teacher.feature_ranges import StoredRange, WindowRows, covers
from ray_compt.teacher.feature_window import FeatureWindow

# A store that lists slower than this is not looked through to its end.
LONGEST_LOOK_S = 60.0


def estimated_bytes(order: Order, last_step: int, spec: CacheSpec) -> int:
    """What the features of steps [0, last_step) take: drawn samples x (1 + K) x E x 2 bytes."""
    return drawn_samples(order, last_step, spec.augment_epochs) * spec.sample_bytes


def drawn_samples(order: Order, last_step: int, augment_epochs: int | None) -> int:
    """Most different (drawn epoch, sample) of steps [0, last_step).

    An epoch uses whole batches only; the few samples that it leaves out differ from epoch to epoch, so that epochs
    which are drawn alike may together use all.
    """
    used = last_step * order.global_batch
    if augment_epochs is None or last_step <= augment_epochs * order.batches_per_epoch:
        return used
    return min(used, augment_epochs * order.samples)


def is_complete(cache: FeatureCache, order: Order, last_step: int) -> bool:
    """Whether steps [0, last_step) find all their features, judged by the files' names where they are whole.

    It ends at the first gap; False also where looking takes too long.

    Raises:
        OSError, StorageError: the cache cannot be read.
    """
    deadline = time.monotonic() + LONGEST_LOOK_S
    epochs = math.ceil(last_step / order.batches_per_epoch)
    repeat = min(cache.spec.augment_epochs or epochs, epochs)
    for draw in range(repeat):
        kept = _Kept(cache, draw)
        for epoch in range(draw, epochs, repeat):
            batches = min(order.batches_per_epoch, last_step - epoch * order.batches_per_epoch)
            if time.monotonic() > deadline or not kept.serves(order.epoch(epoch), batches):
                return False
    return True


@dataclass
class _Kept:
    """The files of one drawn epoch, listed shard by shard as they are wanted."""

    cache: FeatureCache
    draw: int
    _ranges: dict[int, list[StoredRange]] = field(default_factory=dict)

    def serves(self, epoch: EpochOrder, batches: int) -> bool:
        """Whether the first `batches` batches of an epoch find all their features."""
        order = epoch.order
        windows = batches // order.window_batches
        if batches == order.batches_per_epoch:
            windows = order.windows_per_epoch
        for lane in range(order.lanes):
            for segment in epoch.segments_until(lane, windows):
                if not covers(self._of(segment.shard), segment):
                    return False
        return windows * order.window_batches >= batches or self._serves_begun(epoch, windows, batches)

    def _serves_begun(self, epoch: EpochOrder, window: int, batches: int) -> bool:
        """Whether a window that is not used to its end finds what is used of it, which may be in files with gaps."""
        rows = WindowRows(epoch, window, range(epoch.order.lanes))
        content = FeatureWindow(self.cache, rows, self.draw)
        content.load(lambda _: None)
        covered = content.covered()
        first = epoch.epoch * epoch.order.batches_per_epoch
        steps = range(rows.steps.start, first + batches)
        return all(covered[rows.rows(step)].all() for step in steps)

    def _of(self, shard: int) -> list[StoredRange]:
        if shard not in self._ranges:
            self._ranges[shard] = self.cache.ranges(self.draw, shard)
        return self._ranges[shard]
