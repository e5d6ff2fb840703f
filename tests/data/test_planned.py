from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data import planned
from ray_compt.data.order import EpochOrder, Order
from ray_compt.data.planned import Plan, Samples
from ray_compt.data.sample_digest import sample_words, to_text
from ray_compt.errors import UserError
from tests.data.test_windows import Numbers, index


class Forgetful(Numbers):
    """Does not know the keys of shard 1."""

    def keys(self, shard):
        if shard.path == "1":
            raise UserError("the table is gone")
        return super().keys(shard)


def digest(rows):
    words = [sample_words(shard, f"{shard}/{i}") for shard, i in rows]
    return to_text((sum(word[0] for word in words) % 2**64, sum(word[1] for word in words) % 2**64))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 4), st.integers(0, 3))
def test_digests_are_those_of_the_orders_definition(sizes, window_batches, epoch):
    sizes[0] += max(0, 8 - sum(sizes))
    order = Order(3, tuple(sizes), 8, 4, window_batches)
    found = Plan(order, Samples(index(sizes))).epoch(epoch)
    for b in range(order.batches_per_epoch):
        assert found.digest(b) == digest(order.batch(epoch, b))
    assert found.distinct == order.batches_per_epoch * 8


def test_samples_are_numbered_and_named_through_all_shards():
    order = Order(3, (5, 0, 11), 8, 4, 2)
    samples = Samples(index((5, 0, 11)))
    plan = Plan(order, samples)
    names = [samples.name(int(number)) for number in plan.batch(1, 1)]
    assert sorted(names) == sorted(f"{shard}/{shard}/{i}" for shard, i in order.batch(1, 1))


def test_batches_with_unknown_samples_have_no_digest():
    order = Order(3, (60, 4), 8, 4, 2)
    samples = Samples(index((60, 4), Forgetful()))
    epoch = Plan(order, samples).epoch(0)
    assert samples.unknown == {"1": "the table is gone"}
    digests = [epoch.digest(b) for b in range(order.batches_per_epoch)]
    for b, found in enumerate(digests):
        rows = order.batch(0, b)
        assert found == (None if any(shard == 1 for shard, _ in rows) else digest(rows))
    assert None in digests and any(digests)
    assert samples.name(62) == "1/#2"


class Counted(Numbers):
    """Counts how often the keys of a shard are asked for."""

    def __init__(self):
        self.asked = Counter()

    def keys(self, shard):
        self.asked[shard.path] += 1
        return super().keys(shard)


def test_memory_for_few_samples_changes_nothing_but_the_number_of_looks(monkeypatch):
    sizes = (40, 7, 0, 33, 64, 21, 50, 1)
    order = Order(3, sizes, 8, 4, 2)
    plenty, little = Counted(), Counted()
    wanted = [Plan(order, Samples(index(sizes, plenty))).epoch(epoch) for epoch in range(2)]
    monkeypatch.setattr(planned, "KEPT_SAMPLES", 64)
    plan = Plan(order, Samples(index(sizes, little)))
    for epoch, one in enumerate(wanted):
        found = plan.epoch(epoch)
        assert (found.words == one.words).all() and found.distinct == one.distinct
    assert set(plenty.asked.values()) == {2}
    # Lane by lane a shard is met once; those at the ends of lanes, and the one that the epoch is turned at, twice.
    assert sum(little.asked.values()) <= 2 * (len(sizes) + order.lanes + 1)


class Broken(Order):
    """An order that shuffles without keeping apart."""

    def epoch(self, epoch):
        found = EpochOrder(self, epoch)
        found.shuffle = lambda lane, window: np.zeros(
            sum(part.hi - part.lo for part in found.segments(lane, window)), dtype=np.int64
        )
        return found


def test_an_order_that_repeats_samples_is_seen():
    order = Broken(3, (16, 16), 8, 4, 2)
    assert Plan(order, Samples(index((16, 16)))).epoch(0).distinct == 4 * 2
