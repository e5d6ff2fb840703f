"""Which samples a cache file holds and which a worker's batch wants. Pure: no files, no torch.

Cache files hold ranges of a shard in sample order. A window of a worker wants segments of shards, read in order and
then shuffled; both meet in the numbers of the samples, so that files serve any order of reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ray_compt.data.order import EpochOrder, Segment

_NAME = re.compile(r"(\d{8,})-(\d{8,})(\.part)?\.arrow")


@dataclass(frozen=True, order=True)
class StoredRange:
    """A cache file of samples [lo, hi) of a shard.

    Attributes:
        whole: every sample that could be read has its features in the file.
    """

    lo: int
    hi: int
    whole: bool

    @property
    def name(self) -> str:
        """The file's name."""
        return f"{self.lo:08d}-{self.hi:08d}{'' if self.whole else '.part'}.arrow"

    @classmethod
    def parse(cls, name: str) -> StoredRange | None:
        """The range that a file name stands for, None for other files."""
        found = _NAME.fullmatch(name)
        if found is None or int(found[1]) >= int(found[2]):
            return None
        return cls(int(found[1]), int(found[2]), found[3] is None)


def overlapping(ranges: Iterable[StoredRange], segment: Segment) -> list[StoredRange]:
    """The ranges that hold samples of a segment, whole ones first, each kind in ascending order."""
    found = [one for one in ranges if one.lo < segment.hi and segment.lo < one.hi]
    return sorted(found, key=lambda one: (not one.whole, one))


def covers(ranges: Iterable[StoredRange], segment: Segment) -> bool:
    """Whether whole ranges together hold every sample of a segment."""
    reached = segment.lo
    for one in sorted(one for one in ranges if one.whole):
        if one.lo > reached:
            break
        reached = max(reached, one.hi)
    return reached >= segment.hi


def runs(wanted: np.ndarray) -> list[tuple[int, int]]:
    """The runs [lo, hi) of True in a bool array."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], wanted.astype(np.int8), [0]))))
    return [(int(lo), int(hi)) for lo, hi in zip(edges[::2], edges[1::2])]


@dataclass(frozen=True)
class Part:
    """A segment of a window, and its place among all samples that the worker reads for the window.

    Attributes:
        segment: what is read.
        at: number of its first sample; the others follow.
    """

    segment: Segment
    at: int

    @property
    def span(self) -> slice:
        """Where its samples lie among the window's."""
        return self.where(self.segment.lo, self.segment.hi)

    def where(self, lo: int, hi: int) -> slice:
        """Where those of its samples lie that are among [lo, hi) of the shard."""
        first, last = self.segment.lo, self.segment.hi
        begin, end = (min(max(number, first), last) for number in (lo, hi))
        return slice(self.at + begin - first, self.at + end - first)


class WindowRows:
    """One window of the lanes of a worker: what is read, and which of it makes up each batch.

    Attributes:
        epoch, window: its number.
        steps: steps of the stage that it covers.
        parts: what is read, lane after lane.
        samples: how many samples that is.
    """

    def __init__(self, epoch: EpochOrder, window: int, lanes: Sequence[int]):
        order, batches = epoch.order, epoch.window_batches(window)
        begin = epoch.epoch * order.batches_per_epoch
        self.epoch, self.window = epoch.epoch, window
        self.steps = range(begin + batches.start, begin + batches.stop)
        per_lane = len(batches) * order.per_lane
        self.samples = per_lane * len(lanes)
        self.parts: list[Part] = []
        numbers = []
        for place, lane in enumerate(lanes):
            at = place * per_lane
            numbers.append((at + epoch.shuffle(lane, window)).reshape(len(batches), order.per_lane))
            for segment in epoch.segments(lane, window):
                self.parts.append(Part(segment, at))
                at += segment.hi - segment.lo
        # int64 [batches, rows of a batch], in the order in which the pipeline gives them (`windows.read_window`).
        self._rows: np.ndarray = np.concatenate(numbers, axis=1)

    def rows(self, step: int) -> np.ndarray:
        """int64 [n]: for each row of the worker's batch of `step`, the number of its sample among the window's."""
        rows: np.ndarray = self._rows[step - self.steps.start]
        return rows
