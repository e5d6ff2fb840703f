"""A fork server that the driver starts before Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from ray_compt.forkserver import preloading
from ray_compt.forkserver.launcher import PRELOADED
from ray_compt.forkserver.preload import MODULES
from tests.forkserver.test_forkserver import Start, facts_of, start

__all__ = ["start"]


def test_the_first_launcher_gets_a_server_that_has_imported_already(start: Start):
    with preloading(("wave",)):
        facts = facts_of(start(modules=("colorsys",), X="1"))
        assert facts["imported"] == ["colorsys", "wave"]
        server = psutil.Process(facts["parent"])
        assert server.ppid() == os.getpid()
        assert facts["env"]["X"] == "1"
        assert facts_of(start(Y="2"))["parent"] == server.pid
    assert not server.is_running()
    assert PRELOADED not in os.environ


def test_another_job_gets_a_server_of_its_own(start: Start):
    with preloading(("wave",)):
        first = facts_of(start(modules=("colorsys",)))
        other = facts_of(start(modules=("colorsys",), RAY_JOB_ID="02000000"))
    assert other["parent"] != first["parent"]
    assert other["imported"] == ["colorsys"]


def test_a_launcher_starts_the_server_where_the_other_has_ended(start: Start):
    with preloading(("wave",)):
        [waiting] = psutil.Process().children()
        waiting.kill()
        waiting.wait(10)
        facts = facts_of(start(modules=("colorsys",)))
    assert facts["imported"] == ["colorsys"]


def test_it_ends_with_the_driver(tmp_path: Path):
    program = """
import os, psutil
from ray_compt.forkserver import preloading
with preloading(("wave",)):
    print(psutil.Process().children()[0].pid, flush=True)
    os._exit(0)
"""
    # What the driver leaves behind, because it ends at once.
    variables = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", program]
    found = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    waiting = int(found.stdout)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(waiting).wait(10)
    assert not psutil.pid_exists(waiting)


def test_nothing_is_started_where_the_fork_server_is_turned_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COMPT_FORK_SERVER", "0")
    before = psutil.Process().children()
    with preloading():
        assert psutil.Process().children() == before
        assert PRELOADED not in os.environ


def test_what_it_imports_needs_no_ray():
    program = f"import sys, {', '.join(MODULES)}; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0
