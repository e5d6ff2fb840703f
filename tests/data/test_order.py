from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data.order import Order, legal_world_sizes
from ray_compt.errors import UserError

WORLDS = (1, 2, 4, 8)


@st.composite
def orders(draw):
    sizes = draw(st.lists(st.integers(0, 40), min_size=1, max_size=12))
    lanes = draw(st.sampled_from([1, 2, 4, 8]))
    batch = lanes * draw(st.integers(1, 4))
    sizes[0] += max(0, batch - sum(sizes))
    return Order(draw(st.integers(0, 3)), tuple(sizes), batch, lanes, draw(st.integers(1, 5)))


def rows_of_epoch(order, epoch):
    return [row for b in range(order.batches_per_epoch) for row in order.batch(epoch, b)]


@settings(deadline=None, max_examples=60)
@given(orders(), st.integers(0, 3))
def test_an_epoch_takes_every_sample_at_most_once_and_leaves_less_than_a_batch(order, epoch):
    rows = rows_of_epoch(order, epoch)
    assert max(Counter(rows).values()) == 1
    assert len(rows) == order.samples - order.samples % order.global_batch
    assert all(0 <= index < order.sizes[shard] for shard, index in rows)


@settings(deadline=None, max_examples=40)
@given(orders(), st.integers(0, 2))
def test_every_worker_count_sees_the_same_batches(order, epoch):
    for b in range(order.batches_per_epoch):
        batch = sorted(order.batch(epoch, b))
        for world in WORLDS:
            if order.lanes % world == 0:
                shares = [order.share(epoch, b, rank, world) for rank in range(world)]
                assert {len(share) for share in shares} == {order.global_batch // world}
                assert sorted(row for share in shares for row in share) == batch


@settings(deadline=None, max_examples=40)
@given(orders(), st.integers(0, 2))
def test_windows_hold_exactly_the_rows_of_their_batches(order, epoch):
    epoch_order = order.epoch(epoch)
    covered = []
    for window in range(order.windows_per_epoch):
        batches = epoch_order.window_batches(window)
        covered += batches
        for lane in range(order.lanes):
            segments = epoch_order.segments(lane, window)
            read = [(s.shard, i) for s in segments for i in range(s.lo, s.hi)]
            shuffled = [read[i] for i in epoch_order.shuffle(lane, window)]
            assert shuffled == [row for b in batches for row in epoch_order.lane_rows(lane, b)]
    assert covered == list(range(order.batches_per_epoch))


@settings(deadline=None, max_examples=30)
@given(orders(), st.integers(0, 2), st.data())
def test_any_batch_can_be_asked_for_alone(order, epoch, data):
    b = data.draw(st.integers(0, order.batches_per_epoch - 1))
    again = Order(order.seed, order.sizes, order.global_batch, order.lanes, order.window_batches)
    start = b * order.global_batch
    assert again.batch(epoch, b) == rows_of_epoch(order, epoch)[start : start + order.global_batch]


def test_seeds_and_epochs_give_other_batches():
    def order(seed):
        return Order(seed, (64, 64, 64), 32, 4, 2)

    batches = {tuple(order(seed).batch(epoch, 0)) for seed in range(3) for epoch in range(3)}
    assert len(batches) == 9


def test_one_shard_does_not_lose_the_same_tail_every_epoch():
    order = Order(0, (39,), 8, 2, 2)
    seen = {row for epoch in range(20) for row in rows_of_epoch(order, epoch)}
    assert len(seen) == 39


def test_a_batch_draws_from_every_lane_and_a_window_is_shuffled():
    order = Order(0, (1000,) * 8, 80, 8, 4)
    batch = order.batch(0, 0)
    assert len({shard for shard, _ in batch}) >= 8
    lane = batch[:10]
    assert lane != sorted(lane)
    assert max(index for _, index in lane) - min(index for _, index in lane) > 10


def test_a_hundred_million_samples_cost_no_memory():
    order = Order(0, (10_000,) * 10_000, 32_768, 16, 8)
    epoch = order.epoch(3)
    last = order.windows_per_epoch - 1
    assert sum(s.hi - s.lo for s in epoch.segments(15, last)) == len(epoch.shuffle(15, last))
    assert len(order.share(3, order.batches_per_epoch - 1, 3, 16)) == 2048


def test_legal_world_sizes_divide_lanes_and_batch():
    assert legal_world_sizes(1024, 8) == [1, 2, 4, 8]
    assert legal_world_sizes(1024, 12) == [1, 2, 4]
    assert legal_world_sizes(96, 12) == [1, 2, 3, 4, 6, 12]


def test_mistakes_are_user_errors():
    with pytest.raises(UserError, match="lanes"):
        Order(0, (100,), 10, 4, 1)
    with pytest.raises(UserError, match="larger than the data"):
        Order(0, (5, 0), 8, 4, 1)
    with pytest.raises(UserError, match="3 workers") as caught:
        Order(0, (100,), 8, 8, 1).share(0, 0, 0, 3)
    assert "[1, 2, 4, 8]" in caught.value.mend
    with pytest.raises(IndexError):
        Order(0, (100,), 8, 8, 1).batch(0, 12)
