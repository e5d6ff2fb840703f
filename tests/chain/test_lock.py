"""Two drivers never share a run folder, and a dead one holds up nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ray_compt.chain.lock import NAME, only_driver
from ray_compt.errors import UserError
from ray_compt.storage import open_place

HOLD = """
import sys, time
from ray_compt.chain.lock import only_driver
from ray_compt.storage import open_place
with only_driver(open_place(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path) -> subprocess.Popen[str]:
    driver = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "held\n"
    yield driver
    driver.kill()
    driver.communicate()


def test_the_second_driver_is_refused_and_told_about_the_first(
    tmp_path: Path, other: subprocess.Popen[str]
) -> None:
    with (
        pytest.raises(UserError, match=f"pid {other.pid}, for \\d+ s") as refused,
        only_driver(open_place(tmp_path)),
    ):
        pass
    assert refused.value.where == str(tmp_path)
    assert other.poll() is None


def test_a_dead_drivers_hold_is_taken_over(tmp_path: Path, other: subprocess.Popen[str]) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait(30)
    with only_driver(open_place(tmp_path)):
        assert f'"pid": {os.getpid()}' in (tmp_path / NAME).read_text()


def test_the_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with only_driver(open_place(tmp_path)):
            pass
    assert (tmp_path / NAME).read_text() == ""
