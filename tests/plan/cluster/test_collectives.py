from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.plan.cluster.collectives import make_ring

LINK, NETWORK, LINK_HOP, HOP = 400e9, 50e9, 4e-6, 15e-6
WORKERS, PER_NODE = st.integers(1, 1024), st.integers(1, 16)
SIZES = st.floats(0, 1e12)
FAST = settings(deadline=None, max_examples=100)


def ring(workers, per_node, *, network=NETWORK, link=LINK):
    return make_ring(workers, per_node, link, network, LINK_HOP, HOP)


def test_by_hand():
    # Two nodes of eight: 15/16 of the data through the network, 14 hops inside the nodes and one between them.
    assert ring(16, 8).one_pass(16e9) == pytest.approx(15e9 / NETWORK + 14 * LINK_HOP + HOP)
    assert ring(8, 8).one_pass(8e9) == pytest.approx(7e9 / LINK + 7 * LINK_HOP)
    assert ring(4, 1).one_pass(4e9) == pytest.approx(3e9 / NETWORK + 3 * HOP)


def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather():
    assert ring(16, 8).all_reduce(1e9) == 2 * ring(16, 8).one_pass(1e9)


@FAST
@given(SIZES, PER_NODE)
def test_one_worker_talks_to_nobody(size, per_node):
    assert ring(1, per_node).one_pass(size) == 0


@FAST
@given(WORKERS, PER_NODE, SIZES, SIZES)
def test_more_data_takes_no_less_time(workers, per_node, size, more):
    assert ring(workers, per_node).one_pass(size) <= ring(workers, per_node).one_pass(size + more)


@FAST
@given(WORKERS, WORKERS, PER_NODE, SIZES)
def test_more_workers_take_no_less_time(workers, more, per_node, size):
    fewer, all_of_them = ring(workers, per_node), ring(workers + more, per_node)
    assert fewer.one_pass(size) <= all_of_them.one_pass(size) * (1 + 1e-9)


@FAST
@given(WORKERS, PER_NODE, SIZES, st.floats(1, 100))
def test_a_faster_network_never_hurts(workers, per_node, size, factor):
    faster = ring(workers, per_node, network=factor * NETWORK)
    assert faster.one_pass(size) <= ring(workers, per_node).one_pass(size)


@FAST
@given(st.integers(2, 16), st.integers(1, 64), SIZES)
def test_full_nodes_are_better_than_scattered_workers(per_node, nodes, size):
    workers = per_node * nodes
    assert ring(workers, per_node).one_pass(size) <= ring(workers, 1).one_pass(size) * (1 + 1e-9)
