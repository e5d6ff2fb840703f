"""Processes and nodes die by SIGKILL, one after the other: the run completes by itself, with undisturbed weights.

Each test is one run. A row waits for its moment and does harm; the run must have noticed before the next row.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.faults.chain import FIRST, SECOND, Undisturbed
from tests.faults.harness import (
    EVALUATION,
    READER,
    SERVICE,
    TEACHER,
    WORKER,
    Driver,
    SmallCluster,
    kill,
    small_cluster,
    wait_for,
)


def _before_the_first_step(cluster: SmallCluster, driver: Driver) -> None:
    kill(cluster.wait_for_processes(WORKER)[-1])


def _at_the_first_step(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 1)
    kill(cluster.wait_for_processes(WORKER)[-1])


def _in_mid_epoch(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 34)
    kill(cluster.wait_for_processes(WORKER)[0])


def _during_a_checkpoint(cluster: SmallCluster, driver: Driver) -> None:
    """The newest is smaller than the one before; whichever worker writes it is among those that die."""
    driver.wait_for_step(FIRST, 56)
    workers = cluster.wait_for_processes(WORKER)
    folders = driver.run / FIRST / "checkpoints"

    def half_written() -> bool:
        *_, before, newest = sorted(folders.glob("checkpoint_2*"))
        return _bytes(newest) < _bytes(before)

    def caught() -> bool:
        if not half_written():
            return False
        for worker in workers:
            worker.suspend()
        if half_written():
            return True
        for worker in workers:
            worker.resume()
        return False

    wait_for("a half-written checkpoint", caught, every=0.0)
    kill(*workers)


def _bytes(folder: Path) -> int:
    """Of the tensors, whose number is the same in every checkpoint."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _all_at_once(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 80)
    kill(*cluster.wait_for_processes(WORKER))


def _hanging(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 100)
    cluster.wait_for_processes(WORKER)[-1].suspend()


def _in_the_last_steps(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 128)
    kill(cluster.wait_for_processes(WORKER)[-1])


WORKERS = (
    _before_the_first_step,
    _at_the_first_step,
    _in_mid_epoch,
    _during_a_checkpoint,
    _all_at_once,
    _hanging,
    _in_the_last_steps,
)


def test_workers_die(undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path) -> None:
    """No worker lives during evaluation and export; what does these is killed in the other tests."""
    with small_cluster(2, 2) as cluster:
        driver = cluster.train(chain(workers={"timeout_s": 20}, train={"zero_stage": 2}), tmp_path / "run")
        for number, harm in enumerate(WORKERS, start=1):
            harm(cluster, driver)
            driver.wait_for_event(FIRST, "failure", number)
        output = driver.finish()
    assert output.count("since the last checkpoint") >= len(WORKERS)
    undisturbed.assert_same(tmp_path / "run")


def test_helpers_die(undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path) -> None:
    """Data tasks, the teacher between requests, its service during some, the evaluation: no worker notices."""
    with small_cluster(2, 2) as cluster:
        driver = cluster.train(chain(train={"zero_stage": 3}), tmp_path / "run")
        for step in (1, 60):
            driver.wait_for_step(FIRST, step)
            kill(*cluster.processes(READER))
        kill(cluster.wait_for_processes(EVALUATION)[0])
        kill(cluster.wait_for_processes(TEACHER)[0])
        driver.wait_for_step(SECOND, 1)
        kill(cluster.wait_for_processes(SERVICE)[0])
        driver.wait_for_step(SECOND, 12)
        with cluster.standing_still():
            # Nothing is asked of the teacher.
            kill(cluster.wait_for_processes(TEACHER)[0])
        driver.finish()
        assert not driver.events(FIRST, "failure") and not driver.events(SECOND, "failure")
    undisturbed.assert_same(tmp_path / "run")


def test_nodes_die(undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path) -> None:
    """That of a worker, then that of the teacher; the head has no CPUs, so nothing of the stage is on it."""
    with small_cluster(0, 2, 2) as cluster:
        driver = cluster.train(chain(train={"zero_stage": 1}), tmp_path / "run")
        driver.wait_for_step(FIRST, 30)
        _kill_the_node_of(WORKER, cluster)
        driver.wait_for_event(FIRST, "failure", 1)
        cluster.add(2)
        driver.wait_for_step(SECOND, 5)
        _kill_the_node_of(TEACHER, cluster)
        driver.finish()
    undisturbed.assert_same(tmp_path / "run")


def _kill_the_node_of(title: str, cluster: SmallCluster) -> None:
    wait_for(title, lambda: cluster.processes(title))
    cluster.kill_node(next(node for node in cluster.nodes if cluster.processes(title, node)))
