"""Hangs, too little room, full disks, damaged checkpoints, two drivers, signals: a clear end or none at all."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import FIRST, Undisturbed
from tests.faults.harness import WORKER, Driver, small_cluster, states


def test_a_worker_that_hangs_is_found_and_replaced(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    with small_cluster(2, 2) as cluster:
        driver = cluster.train(chain(workers={"timeout_s": 10}), tmp_path / "run")
        driver.wait_for_step(FIRST, 30)
        os.kill(cluster.processes(WORKER)[-1].pid, signal.SIGSTOP)
        output = driver.finish()
    assert "failure 1 of 3 since the last checkpoint" in output
    undisturbed.assert_same(tmp_path / "run")


def test_too_little_room_ends_with_a_message_and_the_same_command_goes_on(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    with small_cluster(2, 2) as cluster:
        file = chain(workers={"min": 2, "wait_s": 5})
        driver = cluster.train(file, tmp_path / "run")
        driver.wait_for_step(FIRST, 30)
        cluster.kill_node(cluster.nodes[-1])
        output = driver.finish(code=1)
        assert "room for" in output and "workers.min needs 2" in output and "mend:" in output
        cluster.add(2)
        cluster.train(file, tmp_path / "run").finish()
    undisturbed.assert_same(tmp_path / "run")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_after_a_checkpoint(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path, number: int, code: int
) -> None:
    """Checkpoints come every 1000 steps, so all that is kept is what the signal saved."""
    with small_cluster(2) as cluster:
        file = chain(train={"checkpoint_every": 1000})
        driver = cluster.train(file, tmp_path / "run")
        driver.wait_for_step(FIRST, 1)
        driver.process.send_signal(number)
        output = driver.finish(code=code)
        assert "stopping after a checkpoint" in output
        assert states(tmp_path / "run")[0] == "running"
        kept = driver.checkpoint_step(FIRST)
        assert kept > 0
        again = cluster.train(file, tmp_path / "run").finish()
    assert f"goes on at step {kept} " in again
    undisturbed.assert_same(tmp_path / "run")


def test_a_second_signal_does_not_wait(chain: Callable[..., Path], tmp_path: Path) -> None:
    with small_cluster(2) as cluster:
        driver = cluster.train(chain(), tmp_path / "run")
        driver.wait_for_step(FIRST, 1)
        # A worker that cannot answer would hold the checkpoint up.
        os.kill(cluster.processes(WORKER)[0].pid, signal.SIGSTOP)
        driver.process.send_signal(signal.SIGINT)
        driver.wait_for_output("stopping after a checkpoint")
        driver.process.send_signal(signal.SIGINT)
        driver.finish(code=130, timeout=30)


def test_the_second_driver_in_a_run_folder_is_refused(chain: Callable[..., Path], tmp_path: Path) -> None:
    with small_cluster(2) as cluster:
        file = chain()
        first = cluster.train(file, tmp_path / "run")
        first.wait_for_step(FIRST, 1)
        second = cluster.train(file, tmp_path / "run").finish(code=2)
        assert f"pid {first.pid}" in second and "another driver" in second
        assert first.process.poll() is None


def _harm_newest(run: Path, harm: Callable[[Path], None], name: str) -> None:
    newest = max((run / FIRST / "checkpoints").glob("checkpoint_2*"))
    harm(newest / name)


def _cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_damaged_checkpoints_are_passed_over(
    undisturbed: Undisturbed, chain: Callable[..., Path], tmp_path: Path
) -> None:
    with small_cluster(2) as cluster:
        file = chain()
        for harm, name in ((_cut, "weights"), (_flip, "moments"), (Path.unlink, "weights")):
            driver: Driver = cluster.train(file, tmp_path / "run")
            driver.wait_for_new_checkpoints(FIRST, 2)
            driver.process.kill()
            driver.process.wait()
            _harm_newest(tmp_path / "run", harm, f"{name}.safetensors")
        output = cluster.train(file, tmp_path / "run").finish()
    assert output.count("is damaged") == 1
    undisturbed.assert_same(tmp_path / "run")


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A folder on a file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("may not mount a small file system")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_full_disk_ends_with_a_message_and_loses_nothing(
    undisturbed: Undisturbed, chain: Callable[..., Path], small_disk: Path, tmp_path: Path
) -> None:
    """A checkpoint is 9.6 MB: the first two fit, the third does not."""
    with small_cluster(2) as cluster:
        file = chain()
        driver = cluster.train(file, small_disk / "run")
        output = driver.finish(code=1)
        assert "No space left" in output and "mend: make room" in output
        subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
        cluster.train(file, small_disk / "run").finish()
    undisturbed.assert_same(small_disk / "run")
