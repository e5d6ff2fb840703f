"""What a worker has to read, window by window, and the reading of one window.

A `WindowRead` is one item of the Ray Data pipeline: it names everything that a task needs, so that tasks know
neither the index nor the order.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ray_compt.data.index import Index
from ray_compt.data.order import EpochOrder, Order, window_shuffle
from ray_compt.data.sample_digest import Words, sample_words
from ray_compt.data.samples import RawSample, Shard
from ray_compt.data.source import Source
from ray_compt.errors import StorageError, UserError

logger = logging.getLogger(__name__)

_RETRY_WAITS_S = (0.5, 2.0, 8.0)


@dataclass(frozen=True)
class LaneRead:
    """The samples of one lane: parts (number of the shard in the index, shard, lo, hi) in reading order."""

    lane: int
    parts: tuple[tuple[int, Shard, int, int], ...]


@dataclass(frozen=True)
class WindowRead:
    """One window of all the lanes that a worker owns.

    Attributes:
        seed, epoch, window: the randomness of its shuffle.
        first, last: batches [first, last) of the window that are wanted.
        per_lane: samples that a lane gives to a batch.
        lanes: what to read.
    """

    seed: int
    epoch: int
    window: int
    first: int
    last: int
    per_lane: int
    lanes: tuple[LaneRead, ...]

    @property
    def batches(self) -> int:
        return self.last - self.first

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> WindowRead:
        fields = json.loads(text)
        lanes = tuple(
            LaneRead(lane["lane"], tuple((n, Shard(**shard), lo, hi) for n, shard, lo, hi in lane["parts"]))
            for lane in fields["lanes"]
        )
        return cls(**{**fields, "lanes": lanes})


@dataclass(frozen=True)
class Row:
    """One row of a batch before decoding.

    Attributes:
        raw: the sample; of one that cannot be read, its key alone.
        words: its part of the batch's digest (`sample_digest`).
        shard: path of its shard.
        error: why there is no sample.
    """

    raw: RawSample
    words: Words
    shard: str
    epoch: int
    error: str = ""


def window_reads(
    index: Index, order: Order, *, rank: int, world: int, first_step: int, last_step: int
) -> Iterator[WindowRead]:
    """The windows that hold steps [first_step, last_step), in order, for worker `rank` of `world`."""
    lanes = order.lanes_of(rank, world)
    step, epoch_order = first_step, None
    while step < last_step:
        epoch, batch = divmod(step, order.batches_per_epoch)
        if epoch_order is None or epoch_order.epoch != epoch:
            epoch_order = order.epoch(epoch)
        window = batch // order.window_batches
        covered = epoch_order.window_batches(window)
        count = min(covered.stop - batch, last_step - step)
        first = batch - covered.start
        reads = tuple(_lane_read(index, epoch_order, lane, window) for lane in lanes)
        yield WindowRead(order.seed, epoch, window, first, first + count, order.per_lane, reads)
        step += count


def _lane_read(index: Index, epoch_order: EpochOrder, lane: int, window: int) -> LaneRead:
    segments = epoch_order.segments(lane, window)
    return LaneRead(
        lane, tuple((part.shard, index.shards[part.shard], part.lo, part.hi) for part in segments)
    )


def read_window(source: Source, window: WindowRead) -> Iterator[Row]:
    """The rows of the window's batches, batch by batch, lane by lane; always as many as planned.

    Samples that cannot be reached after a few tries become rows with an `error`.

    Raises:
        UserError: a shard changed since it was indexed.
    """
    lanes = [_shuffled(source, window, lane) for lane in window.lanes]
    for batch in range(window.first, window.last):
        for rows in lanes:
            yield from rows[batch * window.per_lane : (batch + 1) * window.per_lane]


def _shuffled(source: Source, window: WindowRead, lane: LaneRead) -> list[Row]:
    rows = [row for part in lane.parts for row in _read_part(source, window.epoch, *part)]
    shuffle = window_shuffle(len(rows), window.seed, window.epoch, lane.lane, window.window)
    return [rows[i] for i in shuffle]


def _read_part(source: Source, epoch: int, number: int, shard: Shard, lo: int, hi: int) -> list[Row]:
    def lost(error: Exception) -> list[Row]:
        reason = f"cannot be read: {error}"
        keys = _planned_keys(source, shard, lo, hi)
        return [
            Row(RawSample(key, b"", []), sample_words(number, key), shard.path, epoch, reason) for key in keys
        ]

    for wait in (*_RETRY_WAITS_S, None):
        try:
            rows = [
                Row(raw, sample_words(number, raw.key), shard.path, epoch)
                for raw in source.read(shard, lo, hi)
            ]
            # Fewer rows would shift every later batch without a sound.
            if len(rows) != hi - lo:
                raise OSError(f"{len(rows)} samples instead of {hi - lo}")
            return rows
        except StorageError as error:
            # It has been tried often enough.
            return lost(error)
        except UserError:
            raise
        # Drivers raise whatever their HTTP library does, and an exception here would end the whole stage.
        except Exception as error:
            if wait is None:
                return lost(error)
            logger.warning("reading %s failed (%s); trying again in %g s", shard.path, error, wait)
            time.sleep(wait)
    raise AssertionError("unreachable")


def _planned_keys(source: Source, shard: Shard, lo: int, hi: int) -> list[str]:
    """Keys of samples that cannot be read; their numbers in the shard where the index cannot be read either."""
    try:
        return source.keys(shard)[lo:hi]
    except Exception as error:
        logger.warning("the keys of %s are not known (%s)", shard.path, error)
        return [f"#{i}" for i in range(lo, hi)]
