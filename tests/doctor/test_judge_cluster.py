"""Room for workers on nodes, and who may reach the cluster."""

from __future__ import annotations

import pytest

from ray_compt.doctor.judge_cluster import judge_access, judge_here, judge_workers
from ray_compt.train.cluster import Needs

TWO = {"a": {"CPU": 8.0, "GPU": 1.0}, "b": {"CPU": 8.0, "GPU": 1.0}}


def _needs(workers: int, most: int, cpus: float = 4, gpus: float = 0) -> Needs:
    return Needs(workers=workers, most=most, cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(
    "needs, most, state, says",
    [
        (_needs(1, 4), None, "ok", "1 to 4 workers of 4 CPUs asked for, room for 4"),
        (_needs(1, 8), None, "ok", "room for 4 until nodes are added"),
        (_needs(1, 1, cpus=12), None, "wrong", "room for 0: each has to fit on one node"),
        (_needs(4, 4, cpus=5), None, "wrong", "4 workers of 5 CPUs asked for, room for 2"),
        (_needs(3, 3, cpus=1, gpus=1), None, "wrong", "of 1 CPUs and 1 GPUs asked for, room for 2"),
        (_needs(8, 8), {"CPU": 64.0, "GPU": 8.0}, "ok", "the autoscaler may make it 64 CPUs and 8 GPUs"),
    ],
)
def test_workers_have_to_fit_on_nodes_whole(needs: Needs, most, state: str, says: str):
    found = judge_workers(needs, TWO, most)
    assert found.state == state
    assert says in found.found


def test_gpus_that_this_machine_lacks_are_wrong():
    found = judge_here(_needs(2, 8, gpus=1), 1)
    assert (found.state, found.found) == (
        "wrong",
        "2 to 8 workers and the teacher need 2 GPUs or more; this machine has 1",
    )
    assert judge_here(_needs(2, 8, gpus=1), 2).state == "ok"
    assert judge_here(_needs(2, 8), 0).state == "ok"


def test_an_open_cluster_is_to_think_about_and_one_with_a_token_is_well():
    assert [one.state for one in judge_access("10.0.0.1:8265", False, 2)] == ["ok", "warn"]
    assert [one.state for one in judge_access("10.0.0.1:8265", True, 2)] == ["ok", "ok"]
    assert [one.state for one in judge_access("127.0.0.1:8265", False, 1)] == ["ok", "ok"]
    assert [one.state for one in judge_access("0.0.0.0:8265", False, 1)] == ["ok", "warn"]


def test_without_a_dashboard_there_are_no_jobs():
    dashboard, _ = judge_access(None, True, 3)
    assert dashboard.state == "warn" and "no jobs" in dashboard.found
