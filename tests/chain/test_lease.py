"""Where there are no locks, a living driver's lease refuses others, and a dead one's holds up nobody."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import uuid
from typing import Any

import pytest

from ray_compt.chain import lease
from ray_compt.chain.lock import NAME, only_driver
from ray_compt.errors import UserError
from ray_compt.storage import Place, open_place

HERE = socket.gethostname()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(lease, "SETTLE_S", 0.01)
    return open_place(f"memory://{uuid.uuid4().hex}")


def _held(run: Place, **holder: Any) -> None:
    (run / NAME).write_text(json.dumps({"started": time.time() - 100, "beat": time.time(), **holder}))


def _ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_holder_is_named_and_the_folder_free_afterwards(run: Place) -> None:
    for _ in range(2):
        with only_driver(run):
            holder = json.loads((run / NAME).read_text())
            assert (holder["host"], holder["pid"]) == (HERE, os.getpid())
            with pytest.raises(UserError, match=f"pid {os.getpid()}, for"), only_driver(run):
                pass
        assert not (run / NAME).is_file()


@pytest.mark.parametrize("host", [HERE, "elsewhere"])
def test_a_living_driver_refuses_the_second(run: Place, host: str) -> None:
    _held(run, host=host, pid=os.getpid())
    with (
        pytest.raises(UserError, match=f"host {host}, pid {os.getpid()}, for 100 s") as caught,
        only_driver(run),
    ):
        pass
    assert caught.value.where == str(run)
    assert json.loads((run / NAME).read_text())["host"] == host


def test_a_dead_driver_of_this_host_is_taken_over_at_once(run: Place) -> None:
    _held(run, host=HERE, pid=_ended_process())
    with only_driver(run):
        assert json.loads((run / NAME).read_text())["pid"] == os.getpid()


def test_another_hosts_driver_that_has_gone_silent_is_taken_over(run: Place) -> None:
    _held(run, host="elsewhere", pid=1, beat=time.time() - 2 * lease.STALE_S)
    with only_driver(run):
        assert json.loads((run / NAME).read_text())["host"] == HERE


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"host": "elsewhere"}'])
def test_a_damaged_lease_stops_nobody(run: Place, content: str) -> None:
    (run / NAME).write_text(content)
    with only_driver(run):
        pass


def test_of_two_that_start_at_once_one_goes_on(run: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease.time, "sleep", lambda _: _held(run, host="elsewhere", pid=7))
    with pytest.raises(UserError, match="host elsewhere, pid 7"), only_driver(run):
        pass


def test_a_lease_is_renewed_while_it_is_held(run: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.01)
    with only_driver(run):
        first = json.loads((run / NAME).read_text())["beat"]
        deadline = time.monotonic() + 20
        while json.loads((run / NAME).read_text())["beat"] == first:
            assert time.monotonic() < deadline, "never renewed"
            time.sleep(0.01)
