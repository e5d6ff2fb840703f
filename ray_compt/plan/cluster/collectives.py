"""Time of ring collectives from bandwidths and latencies.

A ring of W workers sends (W - 1)/W of the data through every link in one pass; reduce-scatter and all-gather are one
pass each, all-reduce is both (Patarasu and Yuan, J. Parallel Distrib. Comput. 69, 2009). NCCL runs as many rings at
once as a node has network cards, so a pass between nodes has the whole network of a node.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ring:
    """Workers that exchange data, node by node.

    Attributes:
        workers: W.
        nodes: that they lie on.
        bandwidth: of the slowest link, bytes/s.
        latency_s: of a message once around.
    """

    workers: int
    nodes: int
    bandwidth: float
    latency_s: float

    def one_pass(self, size: float) -> float:
        """Seconds of a reduce-scatter, or an all-gather, of `size` bytes in all."""
        if self.workers == 1:
            return 0.0
        return (self.workers - 1) / self.workers * size / self.bandwidth + self.latency_s

    def all_reduce(self, size: float) -> float:
        """Seconds until every worker has the sum of `size` bytes."""
        return 2 * self.one_pass(size)


def make_ring(
    workers: int, per_node: int, link: float, network: float, link_hop_s: float, hop_s: float
) -> Ring:
    """The ring through `workers` workers, `per_node` of them on a node.

    Args:
        workers, per_node: at least 1.
        link: bandwidth between neighbours in a node, bytes/s.
        network: bandwidth of a node to the others, bytes/s.
        link_hop_s, hop_s: latency of a message inside a node and between nodes.
    """
    nodes = -(-workers // per_node)
    if nodes == 1:
        return Ring(workers, 1, link, (workers - 1) * link_hop_s)
    # Of the W hops of a circle one is saved, between nodes as well as within one.
    latency = (nodes - 1) * hop_s + (workers - nodes) * link_hop_s
    bandwidth = network if per_node == 1 else min(link, network)
    return Ring(workers, nodes, bandwidth, latency)
