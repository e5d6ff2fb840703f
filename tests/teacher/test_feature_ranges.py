from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data.order import Order, Segment
from ray_compt.teacher.feature_ranges import StoredRange, WindowRows, covers, overlapping, runs
from tests.data.test_windows import index, keys_read

ranges = st.builds(
    lambda lo, length, whole: StoredRange(lo, lo + length, whole),
    st.integers(0, 30),
    st.integers(1, 12),
    st.booleans(),
)


@given(ranges)
def test_a_name_says_its_range(stored):
    assert StoredRange.parse(stored.name) == stored


@pytest.mark.parametrize("name", [".00000000-00000004.arrow.77.partial", "identity.json", "4-8.arrow", "x"])
def test_other_files_are_no_ranges(name):
    assert StoredRange.parse(name) is None


def test_an_empty_range_is_none():
    assert StoredRange.parse("00000004-00000004.arrow") is None


@given(st.lists(ranges), st.integers(0, 40), st.integers(1, 10))
def test_what_covers_is_what_holds_every_sample(stored, lo, length):
    held = {i for one in stored if one.whole for i in range(one.lo, one.hi)}
    segment = Segment(0, lo, lo + length)
    assert covers(stored, segment) == (set(range(lo, lo + length)) <= held)
    found = overlapping(stored, segment)
    assert sorted(found) == sorted(
        one for one in stored if set(range(one.lo, one.hi)) & set(range(lo, lo + length))
    )
    assert [one.whole for one in found] == sorted((one.whole for one in found), reverse=True)


@given(st.lists(st.booleans()))
def test_runs_are_the_true_ones(wanted):
    found = runs(np.array(wanted, dtype=bool))
    assert [i for lo, hi in found for i in range(lo, hi)] == [i for i, one in enumerate(wanted) if one]
    assert all(hi < lo for (_, hi), (lo, _) in pairwise(found))


@settings(deadline=None, max_examples=80)
@given(
    st.data(),
    st.lists(st.integers(0, 30), min_size=1, max_size=6),
    st.integers(1, 4),
    st.sampled_from([1, 2, 4]),
    st.integers(0, 3),
)
def test_rows_are_those_of_the_orders_definition(data, sizes, window_batches, world, epoch):
    sizes[0] += max(0, 8 - sum(sizes))
    order = Order(1, tuple(sizes), 8, 4, window_batches)
    rank = data.draw(st.integers(0, world - 1))
    steps = []
    for window in range(order.windows_per_epoch):
        rows = WindowRows(order.epoch(epoch), window, order.lanes_of(rank, world))
        read = np.zeros((rows.samples, 2), dtype=int)
        for part in rows.parts:
            read[part.span, 0] = part.segment.shard
            read[part.span, 1] = range(part.segment.lo, part.segment.hi)
        for step in rows.steps:
            steps.append(step)
            wanted = order.share(epoch, step - epoch * order.batches_per_epoch, rank, world)
            assert read[rows.rows(step)].tolist() == [list(row) for row in wanted]
    assert steps == list(range(epoch * order.batches_per_epoch, (epoch + 1) * order.batches_per_epoch))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_rows_are_those_that_the_pipeline_reads(world):
    """Keys as `windows.read_window` gives them to the batches, over the ends of windows and epochs."""
    order = Order(5, (20, 13, 6), 8, 4, 3)
    last = 2 * order.batches_per_epoch
    for rank in range(world):
        keys = []
        for step in range(last):
            epoch, b = divmod(step, order.batches_per_epoch)
            rows = WindowRows(order.epoch(epoch), b // order.window_batches, order.lanes_of(rank, world))
            read = [
                f"{part.segment.shard}/{i}"
                for part in rows.parts
                for i in range(part.segment.lo, part.segment.hi)
            ]
            keys += [read[i] for i in rows.rows(step)]
        assert keys == keys_read(index(order.sizes), order, rank, world, 0, last)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 4), st.integers(0, 3), st.data())
def test_segments_of_windows_together_are_those_of_each(sizes, window_batches, epoch, data):
    sizes[0] += max(0, 8 - sum(sizes))
    found = Order(1, tuple(sizes), 8, 4, window_batches).epoch(epoch)
    windows = data.draw(st.integers(0, found.order.windows_per_epoch))

    def samples(segments):
        return [(one.shard, i) for one in segments for i in range(one.lo, one.hi)]

    for lane in range(4):
        each = [one for window in range(windows) for one in samples(found.segments(lane, window))]
        assert samples(found.segments_until(lane, windows)) == each
