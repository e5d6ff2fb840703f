"""The driver dies, is stopped or is doubled, and Ray's head goes: the same command goes on."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from tests.faults.chain import FIRST, SECOND, Undisturbed, states
from tests.faults.harness import EVALUATION, WORKER, Driver, SmallCluster, small_cluster, wait_for
from tests.harm import cut, flip


def _starting(cluster: SmallCluster, driver: Driver) -> None:
    wait_for("the run folder", lambda: (driver.run / "ledger.json").exists())


def _training(cluster: SmallCluster, driver: Driver) -> None:
    driver.wait_for_new_checkpoints(FIRST, 2)


def _exporting(cluster: SmallCluster, driver: Driver) -> None:
    wait_for("an export", lambda: list((driver.run / FIRST).glob("*.safetensors*")))


def _evaluating(cluster: SmallCluster, driver: Driver) -> None:
    cluster.wait_for_processes(EVALUATION)


def _between_stages(cluster: SmallCluster, driver: Driver) -> None:
    wait_for("the second stage", lambda: (driver.run / SECOND).exists())


# A moment, and what becomes of the newest checkpoint of the first stage once the driver is dead.
LIVES: tuple[tuple[Callable[[SmallCluster, Driver], None], Callable[[Path], None] | None, str], ...] = (
    (_starting, None, ""),
    (_training, cut, "weights"),
    (_training, flip, "moments"),
    (_training, Path.unlink, "weights"),
    (_exporting, None, ""),
    (_evaluating, None, ""),
    (_between_stages, None, ""),
)


def test_a_driver_that_dies_again_and_again(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    """In each phase of a stage, leaving checkpoints that are cut, flipped in one bit, or without a file."""
    file, run = chain(), tmp_path / "run"
    with small_cluster(2) as cluster:
        for moment, harm, name in LIVES:
            driver = cluster.train(file, run)
            moment(cluster, driver)
            driver.kill()
            if harm is not None:
                newest = max((run / FIRST / "checkpoints").glob("checkpoint_2*"))
                harm(newest / f"{name}.safetensors")
        cluster.train(file, run).finish()
        passed_over = sum(driver.output.count("is damaged") for driver in cluster.drivers)
    assert passed_over == sum(harm is not None for _, harm, _ in LIVES)
    undisturbed.assert_same(run)


def test_signals_and_a_second_driver(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    """Checkpoints come every 1000 steps, so all that is kept is what the signals saved."""
    file, run = chain(train={"checkpoint_every": 1000}), tmp_path / "run"
    with small_cluster(2) as cluster:
        first = cluster.train(file, run)
        _starting(cluster, first)
        second = cluster.train(file, run).finish(code=2)
        assert f"pid {first.pid}" in second and "another driver" in second
        first.wait_for_step(FIRST, 1)
        kept = _stop(first, signal.SIGINT, 130)

        driver = cluster.train(file, run)
        driver.wait_for_output(f"goes on at step {kept} ")
        driver.wait_for_step(FIRST, kept + 1)
        assert _stop(driver, signal.SIGTERM, 143) > kept

        driver = cluster.train(file, run)
        driver.wait_for_event(FIRST, "running", 3)
        _stop_at_once(cluster, driver)
        cluster.train(file, run).finish()
    undisturbed.assert_same(run)


def _stop(driver: Driver, number: int, code: int) -> int:
    """Send a signal; returns the step of the checkpoint that the stage is left with."""
    driver.process.send_signal(number)
    output = driver.finish(code=code)
    assert "stopping after a checkpoint" in output
    assert states(driver.run)[0] == "running"
    kept = driver.checkpoint_step(FIRST)
    assert kept > 0
    return kept


def _stop_at_once(cluster: SmallCluster, driver: Driver) -> None:
    """A worker that cannot answer would hold the checkpoint up; the second signal does not wait for it."""
    cluster.processes(WORKER)[0].suspend()
    driver.process.send_signal(signal.SIGINT)
    driver.wait_for_output("stopping after a checkpoint")
    driver.process.send_signal(signal.SIGINT)
    driver.finish(code=130, timeout=30)


def test_too_little_room_and_the_end_of_the_head(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    file, run = chain(workers={"min": 2, "wait_s": 5}), tmp_path / "run"
    with small_cluster(2, 2) as cluster:
        driver = cluster.train(file, run)
        driver.wait_for_step(FIRST, 30)
        cluster.kill_node(cluster.nodes[-1])
        output = driver.finish(code=1)
        assert "room for" in output and "workers.min needs 2" in output and "mend:" in output

        cluster.add(2)
        driver = cluster.train(file, run)
        driver.wait_for_step(FIRST, 60)
        cluster.kill_head()
        driver.process.wait(180)
        assert driver.process.returncode != 0
    with small_cluster(2, 2) as cluster:
        cluster.train(file, run).finish()
    undisturbed.assert_same(run)
