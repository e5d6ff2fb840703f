"""Nodes come and go in peace: the workers move at a checkpoint, and nothing is repeated or lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.chain import FIRST, Undisturbed
from tests.faults.harness import small_cluster


@pytest.mark.parametrize(
    "zero_stage", [1, *(pytest.param(stage, marks=pytest.mark.slow) for stage in (0, 2, 3))]
)
def test_one_worker_becomes_two_and_four_and_two(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path, zero_stage: int
) -> None:
    """Three workers, which fit in between, are no legal number."""
    with small_cluster(2) as cluster:
        driver = cluster.train(chain(stages=1, train={"zero_stage": zero_stage}), tmp_path / "run")
        driver.wait_for_step(FIRST, 10)
        with cluster.standing_still():
            cluster.add(2)
        driver.wait_for_output("from 1 to 2 workers")
        with cluster.standing_still():
            later = [cluster.add(2), cluster.add(2)]
        driver.wait_for_output("from 2 to 4 workers")
        with cluster.standing_still():
            cluster.drain_nodes(*later, seconds=120)
        output = driver.finish()
    moves = re.findall(r"from (\d) to (\d) workers? at step (\d+), because (.*);", output)
    changes = [move[:2] for move in moves]
    assert changes[:2] == [("1", "2"), ("2", "4")], output
    # The notices may come one by one; then the first only moves the four.
    assert changes[2:] in ([("4", "2")], [("4", "4"), ("4", "2")]), output
    assert any("is being drained" in move[-1] for move in moves[2:]), output
    undisturbed.assert_same(tmp_path / "run", [FIRST])
