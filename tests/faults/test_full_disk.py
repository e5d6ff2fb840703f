"""A disk that fills up ends the run with a message, and the checkpoint before stays valid."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.chain import Undisturbed
from tests.faults.harness import small_cluster


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
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
