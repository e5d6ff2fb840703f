"""Something dies by SIGKILL: the run completes by itself, or by the same command, with the undisturbed weights.

A row is a name and a function that waits for its moment and does harm.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import FIRST, SECOND, Undisturbed
from tests.faults.harness import (
    EVALUATION,
    READER,
    TEACHER,
    WORKER,
    Driver,
    SmallCluster,
    kill,
    small_cluster,
    wait_for,
)

Harm = Callable[[SmallCluster, Driver], None]


def _worker_at(step: int) -> Harm:
    def harm(cluster: SmallCluster, driver: Driver) -> None:
        driver.wait_for_step(FIRST, step)
        kill(cluster.processes(WORKER)[-1])

    return harm


def _worker_before_its_first_step(cluster: SmallCluster, driver: Driver) -> None:
    kill(cluster.wait_for_processes(WORKER)[-1])


def _worker_during_a_checkpoint(cluster: SmallCluster, driver: Driver) -> None:
    worker = cluster.wait_for_processes(WORKER)[0]
    wait_for(
        "a half-written checkpoint", lambda: list((driver.run / FIRST).glob("checkpoints/checkpoint_2*/"))
    )
    kill(worker)


def _all_workers(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 30)
    kill(*cluster.processes(WORKER))


def _a_data_task(cluster: SmallCluster, driver: Driver) -> None:
    for step in (1, 40):
        driver.wait_for_step(FIRST, step)
        kill(*cluster.processes(READER))


def _the_teacher_before_its_first_request(cluster: SmallCluster, driver: Driver) -> None:
    kill(cluster.wait_for_processes(TEACHER)[0])


def _the_teacher_twice_while_it_serves(cluster: SmallCluster, driver: Driver) -> None:
    for step in (1, 20):
        driver.wait_for_step(SECOND, step)
        kill(cluster.wait_for_processes(TEACHER)[0])


def _the_evaluation(cluster: SmallCluster, driver: Driver) -> None:
    kill(cluster.wait_for_processes(EVALUATION)[0])


def _the_node_of_a_worker(cluster: SmallCluster, driver: Driver) -> None:
    node = cluster.nodes[-1]
    cluster.wait_for_processes(WORKER, node=node)
    driver.wait_for_step(FIRST, 30)
    cluster.kill_node(node)


BY_ITSELF = {
    "worker-before-its-first-step": _worker_before_its_first_step,
    "worker-at-the-first-step": _worker_at(1),
    "worker-in-mid-epoch": _worker_at(30),
    "worker-in-the-last-steps": _worker_at(170),
    "worker-during-a-checkpoint": _worker_during_a_checkpoint,
    "all-workers": _all_workers,
    "data-tasks": _a_data_task,
    "teacher-before-its-first-request": _the_teacher_before_its_first_request,
    "teacher-while-it-serves": _the_teacher_twice_while_it_serves,
    "evaluation": _the_evaluation,
    "node-of-a-worker": _the_node_of_a_worker,
}


@pytest.mark.parametrize("harm", BY_ITSELF.values(), ids=BY_ITSELF.keys())
def test_the_run_completes_by_itself(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path, harm: Harm
) -> None:
    with small_cluster(2, 2) as cluster:
        driver = cluster.train(chain(), tmp_path / "run")
        harm(cluster, driver)
        driver.finish()
    undisturbed.assert_same(tmp_path / "run")


def _when_training(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_step(FIRST, 30)


def _when_evaluating(cluster: SmallCluster, driver: Driver) -> None:
    cluster.wait_for_processes(EVALUATION)


def _when_exporting(cluster: SmallCluster, driver: Driver) -> None:
    wait_for("an export", lambda: list((driver.run / FIRST).glob("*.safetensors*")))


def _between_stages(cluster: SmallCluster, driver: Driver) -> None:
    wait_for("the second stage", lambda: (driver.run / SECOND).exists())


def _when_it_starts(cluster: SmallCluster, driver: Driver) -> None:
    wait_for("the run folder", lambda: (driver.run / "ledger.json").exists())


MOMENTS = {
    "starting": _when_it_starts,
    "training": _when_training,
    "exporting": _when_exporting,
    "evaluating": _when_evaluating,
    "between-stages": _between_stages,
}


def test_a_driver_that_dies_again_and_again_is_followed_by_the_same_command(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    file = chain()
    with small_cluster(2, 2) as cluster:
        for moment in MOMENTS.values():
            driver = cluster.train(file, tmp_path / "run")
            moment(cluster, driver)
            driver.process.kill()
            driver.process.wait()
        cluster.train(file, tmp_path / "run").finish()
    undisturbed.assert_same(tmp_path / "run")


def test_after_the_head_is_gone_the_same_command_goes_on_elsewhere(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    file = chain()
    with small_cluster(2) as cluster:
        driver = cluster.train(file, tmp_path / "run")
        driver.wait_for_step(FIRST, 30)
        cluster.kill_head()
        driver.process.wait(180)
        assert driver.process.returncode != 0
    with small_cluster(2) as cluster:
        cluster.train(file, tmp_path / "run").finish()
    undisturbed.assert_same(tmp_path / "run")
