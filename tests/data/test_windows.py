from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data import windows
from ray_compt.data.index import Index
from ray_compt.data.order import Order
from ray_compt.data.sample_digest import sample_words
from ray_compt.data.samples import RawSample, Shard
from ray_compt.data.windows import WindowRead, read_window, window_reads
from ray_compt.errors import StorageError, UserError


@dataclass(frozen=True)
class Numbers:
    """A source whose samples are called "SHARD/NUMBER"."""

    def read(self, shard: Shard, lo: int, hi: int) -> Iterator[RawSample]:
        yield from (RawSample(key, b"", ["c"]) for key in self.keys(shard)[lo:hi])

    def keys(self, shard: Shard) -> list[str]:
        return [f"{shard.path}/{i}" for i in range(shard.samples)]


class Failing(Numbers):
    """Fails to read shard 1 the first `times` times."""

    def __init__(self, times, error=None):
        self.times, self.error = times, error or ConnectionError("no route")

    def read(self, shard, lo, hi):
        if shard.path == "1" and self.times > 0:
            self.times -= 1
            raise self.error
        return super().read(shard, lo, hi)


class Lost(Failing):
    """Does not know the keys of shard 1 either."""

    def keys(self, shard):
        if shard.path == "1":
            raise UserError("the table is gone")
        return super().keys(shard)


class Short(Numbers):
    """Gives a sample less than asked for."""

    def read(self, shard, lo, hi):
        return super().read(shard, lo, hi - 1)


def index(sizes, source=Numbers()):
    return Index(source, tuple(Shard(str(i), size) for i, size in enumerate(sizes)), [], [], "")


def keys_read(data, order, rank, world, first, last):
    reads = window_reads(data, order, rank=rank, world=world, first_step=first, last_step=last)
    again = (WindowRead.from_json(read.to_json()) for read in reads)
    return [row.raw.key for read in again for row in read_window(data.source, read)]


def keys_planned(order, rank, world, first, last):
    steps = (divmod(step, order.batches_per_epoch) for step in range(first, last))
    return [f"{shard}/{i}" for epoch, b in steps for shard, i in order.share(epoch, b, rank, world)]


@settings(deadline=None, max_examples=60)
@given(
    st.data(),
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from([1, 2, 4]),
)
def test_reading_windows_gives_the_order_from_any_step_to_any(data, sizes, window_batches, world):
    sizes[0] += max(0, 8 - sum(sizes))
    order = Order(1, tuple(sizes), 8, 4, window_batches)
    first = data.draw(st.integers(0, 3 * order.batches_per_epoch))
    last = first + data.draw(st.integers(0, 2 * order.batches_per_epoch + 1))
    rank = data.draw(st.integers(0, world - 1))
    read = keys_read(index(sizes), order, rank, world, first, last)
    assert read == keys_planned(order, rank, world, first, last)


def test_a_resumed_run_leaves_out_whole_windows_and_counts_the_rest():
    order = Order(0, (64,), 8, 4, 3)
    reads = list(window_reads(index((64,)), order, rank=0, world=1, first_step=4, last_step=9))
    assert [(read.epoch, read.window, read.first, read.last) for read in reads] == [
        (0, 1, 1, 3),
        (0, 2, 0, 2),
        (1, 0, 0, 1),
    ]
    assert sum(read.batches for read in reads) == 5


@pytest.fixture
def no_waiting(monkeypatch):
    waits = []
    monkeypatch.setattr(windows.time, "sleep", waits.append)
    return waits


ORDER = Order(0, (16, 16), 8, 4, 4)


@pytest.mark.usefixtures("no_waiting")
def test_a_storage_that_recovers_costs_nothing():
    data = index((16, 16), Failing(3))
    assert keys_read(data, ORDER, 0, 1, 0, 4) == keys_planned(ORDER, 0, 1, 0, 4)


def test_a_shard_that_cannot_be_read_costs_its_own_rows(no_waiting):
    data = index((16, 16), Failing(10**9))
    reads = window_reads(data, ORDER, rank=0, world=1, first_step=0, last_step=4)
    rows = [row for read in reads for row in read_window(data.source, read)]
    planned = keys_planned(ORDER, 0, 1, 0, 4)
    assert len(rows) == len(planned)
    for row, key in zip(rows, planned):
        assert (row.raw.key, row.error) == (key, "cannot be read: no route" if key.startswith("1/") else "")
        assert (row.shard, row.words) == (key[0], sample_words(int(key[0]), key))
    assert len(no_waiting) % 3 == 0


@pytest.mark.usefixtures("no_waiting")
def test_rows_whose_keys_are_lost_are_named_by_their_number():
    data = index((16, 16), Lost(10**9))
    reads = window_reads(data, ORDER, rank=0, world=1, first_step=0, last_step=4)
    keys = [row.raw.key for read in reads for row in read_window(data.source, read)]
    planned = keys_planned(ORDER, 0, 1, 0, 4)
    assert keys == ["#" + key[2:] if key.startswith("1/") else key for key in planned]


@pytest.mark.usefixtures("no_waiting")
def test_a_source_that_gives_too_few_does_not_shift_the_batches():
    data = index((16, 16), Short())
    rows = list(
        read_window(data.source, next(window_reads(data, ORDER, rank=0, world=1, first_step=0, last_step=4)))
    )
    assert len(rows) == 32
    assert all("instead of" in row.error for row in rows)


def test_a_store_that_has_given_up_is_not_asked_again(no_waiting):
    data = index((16, 16), Failing(10**9, StorageError("no answer")))
    reads = window_reads(data, ORDER, rank=0, world=1, first_step=0, last_step=4)
    rows = [row for read in reads for row in read_window(data.source, read)]
    assert len(rows) == 32
    assert sum(row.error == "cannot be read: no answer" for row in rows) == 16
    assert no_waiting == []


def test_changed_data_stops_the_stage_at_once(no_waiting):
    data = index((16, 16), Failing(1, UserError("changed")))
    with pytest.raises(UserError, match="changed"):
        keys_read(data, ORDER, 0, 1, 0, 4)
    assert no_waiting == []


def test_items_stay_small():
    order = Order(0, (10_000,) * 300, 1024, 8, 8)
    read = next(window_reads(index(order.sizes), order, rank=0, world=1, first_step=0, last_step=8))
    assert len(read.to_json()) < 4000
    assert np.sum([hi - lo for lane in read.lanes for _, _, lo, hi in lane.parts]) == 8192
