"""The fork server with a script in the place of Ray's own: what it forks is what the launcher would have been."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from ray_compt.forkserver import available, py_executable
from ray_compt.forkserver.launcher import SERVER
from ray_compt.train.cluster import WORKER_MODULES
from tests.integration.harness import descendants, end

WORKER = """
import json, os, sys, time
facts = {
    "argv": sys.argv, "pid": os.getpid(), "group": os.getpgid(0), "cwd": os.getcwd(), "env": dict(os.environ),
    "niceness": os.getpriority(os.PRIO_PROCESS, 0), "path": sys.path, "main": __name__,
    "imported": sorted({"wave", "colorsys"} & sys.modules.keys()), "parent": os.getppid(),
}
print(json.dumps(facts), flush=True)
print("to stderr", file=sys.stderr)
time.sleep(float(os.environ.get("SLEEP", 0)))
sys.exit(int(os.environ.get("EXIT", 0)))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Starts a worker as Ray does: through bash, from a process that is its raylet."""
    script = tmp_path / "lib" / "worker.py"
    script.parent.mkdir()
    script.write_text(WORKER)
    (tmp_path / "sockets").mkdir()
    (tmp_path / "logs").mkdir()
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, modules: tuple[str, ...] = ("wave",), **variables: str) -> Any:
        words = [str(script), f"--raylet-name={tmp_path}/sockets/raylet", *arguments]
        command = f"exec {py_executable(modules)} {shlex.join(words)}"
        process = subprocess.Popen(
            ["bash", "-c", command],
            env={**os.environ, "RAY_JOB_ID": "01000000", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        return process

    yield start
    for server in _servers(tmp_path):
        end([*descendants(server.pid), server])
    for process in started:
        process.kill()
        process.communicate(timeout=20)


def _servers(folder: Path) -> list[psutil.Process]:
    """A worker that became nothing else still looks like the server that is its parent."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if SERVER in words and any(word.startswith(str(folder)) for word in words):
            found.append(process)
    pids = {one.pid for one in found}
    servers = []
    for one in found:
        with suppress(psutil.NoSuchProcess):
            if one.ppid() not in pids:
                servers.append(one)
    return servers


def facts_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the worker said; a launcher that started the server outlives its own."""
    assert process.stdout is not None and process.stderr is not None
    line, error = process.stdout.readline(), process.stderr.readline()
    assert error == "to stderr\n"
    return json.loads(line)


def test_a_worker_is_forked_with_everything_imported(start: Start, tmp_path: Path):
    facts = facts_of(start("--a", "b c", modules=("wave", "colorsys"), X="1"))
    assert facts["imported"] == ["colorsys", "wave"]
    assert facts["argv"][2:] == ["--a", "b c"]
    assert facts["main"] == "__main__"
    (server,) = _servers(tmp_path)
    assert facts["parent"] == server.pid


def test_it_is_as_if_the_launcher_had_started_it(start: Start, tmp_path: Path):
    facts_of(start(FIRST="1"))
    facts = facts_of(start(X="2", PYTHONPATH="/somewhere"))
    assert facts["env"]["X"] == "2" and "FIRST" not in facts["env"]
    assert facts["cwd"] == str(tmp_path)
    assert facts["path"][:2] == [str(tmp_path / "lib"), "/somewhere"]
    assert os.path.dirname(SERVER) not in facts["path"]


def test_each_is_a_process_group_of_its_own(start: Start):
    """Ray kills a worker's whole group when it ends; another's must not be in it."""
    facts = facts_of(start())
    assert facts["group"] == facts["pid"]


def test_niceness_is_the_launchers(start: Start):
    facts_of(start())
    start_nice = subprocess.check_output(["nice", "-n", "0", "nice"], text=True)
    assert facts_of(start())["niceness"] == int(start_nice)


def test_one_server_forks_all_workers_of_a_job(start: Start, tmp_path: Path):
    running = [start(SLEEP="0.5") for _ in range(4)]
    parents = {facts_of(process)["parent"] for process in running}
    assert len(parents) == 1 and len(_servers(tmp_path)) == 1
    other = facts_of(start(RAY_JOB_ID="02000000"))
    assert other["parent"] not in parents


def test_the_launcher_stays_as_long_as_its_worker(start: Start):
    process = start(SLEEP="60")
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    assert process.poll() is None
    follower = start(SLEEP="60")
    assert follower.stdout is not None
    after = json.loads(follower.stdout.readline())
    os.kill(after["pid"], signal.SIGKILL)
    follower.wait(10)
    assert psutil.pid_exists(facts["pid"])


def test_all_workers_stay_descendants_of_the_raylet(start: Start):
    first = start()
    assert first.stdout is not None
    first.stdout.readline()
    second = start(SLEEP="60")
    assert second.stdout is not None
    worker = psutil.Process(json.loads(second.stdout.readline())["pid"])
    assert psutil.Process() in worker.parents()


def test_the_server_ends_with_its_raylet(tmp_path: Path, start: Start):
    """The process that starts the first launcher counts as the raylet; here it ends at once."""
    code = (
        "import os, subprocess, sys; "
        "worker = subprocess.Popen(['bash', '-c', sys.argv[1]], stdout=subprocess.PIPE); "
        "worker.stdout.readline(); os._exit(0)"
    )
    script = tmp_path / "lib" / "worker.py"
    command = f"exec {py_executable(['wave'])} {script} --raylet-name={tmp_path}/sockets/raylet"
    subprocess.run([sys.executable, "-c", code, command], check=True, stdout=subprocess.DEVNULL, timeout=60)
    _wait(lambda: not _servers(tmp_path))
    assert not (tmp_path / "sockets" / "f").exists()


def test_a_missing_module_is_the_workers_own_affair(start: Start, tmp_path: Path):
    assert facts_of(start(modules=("no_such_module", "wave")))["imported"] == ["wave"]
    assert "no_such_module" in (tmp_path / "logs" / "fork_server.log").read_text()


def test_without_a_server_the_launcher_becomes_the_worker(start: Start, tmp_path: Path):
    (tmp_path / "sockets").rmdir()
    process = start()
    out, errors = process.communicate(timeout=60)
    assert json.loads(out)["pid"] == process.pid
    assert "no fork server" in errors


def test_a_server_that_dies_is_replaced(start: Start, tmp_path: Path):
    facts_of(start())
    (server,) = _servers(tmp_path)
    server.kill()
    _wait(lambda: not server.is_running() or server.status() == psutil.STATUS_ZOMBIE)
    assert facts_of(start())["imported"] == ["wave"]


def test_a_node_with_another_interpreter_starts_plain_workers(tmp_path: Path):
    """There, neither our interpreter nor our script exist; Ray's own script says which interpreter is the node's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    script = tmp_path / "lib" / "python3.x" / "worker.py"
    script.parent.mkdir(parents=True)
    script.write_text(WORKER)
    command = py_executable(["wave"]).replace(SERVER.replace("server.py", "launcher.py"), "/not/here.py")
    done = subprocess.run(
        ["bash", "-c", f"exec {command} {script} 'a b'"], capture_output=True, text=True, timeout=60
    )
    facts = json.loads(done.stdout)
    assert facts["argv"] == [str(script), "a b"] and facts["imported"] == []


IDENTIFIERS = """
import sys, threading
from ray._raylet import UniqueID
def draw():
    print(UniqueID.from_random().hex(), flush=True)
thread = threading.Thread(target=draw)
thread.start()
thread.join()
draw()
print("ray_compt.train.worker" in sys.modules, flush=True)
"""


def test_forked_workers_draw_different_identifiers(start: Start, tmp_path: Path):
    """Two workers of equal identifiers would be given each other's objects."""
    (tmp_path / "lib" / "worker.py").write_text(IDENTIFIERS)
    drawn: list[str] = []
    for _ in range(2):
        process = start(modules=WORKER_MODULES)
        assert process.stdout is not None
        *found, imported = (process.stdout.readline().strip() for _ in range(3))
        assert imported == "True", (tmp_path / "logs" / "fork_server.log").read_text()
        drawn += found
    assert len({*drawn}) == 4


def test_where_forks_would_draw_the_same_there_are_none(start: Start, tmp_path: Path):
    (tmp_path / "ray_spoilt.py").write_text("from ray._raylet import UniqueID; UniqueID.from_random()")
    process = start(modules=("ray", "ray_spoilt"), PYTHONPATH=f"{tmp_path}:{os.getcwd()}")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["pid"] == process.pid
    assert "same identifiers" in (tmp_path / "logs" / "fork_server.log").read_text()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, True),
        ({"COMPT_FORK_SERVER": "0"}, False),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"working_dir": "."}}'}, True),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"pip": ["x"]}}'}, False),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": '{"runtime_env": {"py_executable": "uv run"}}'}, False),
        ({"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}, True),
    ],
)
def test_whose_interpreter_it_is(environment: dict[str, str], expected: bool):
    assert available(environment) is expected


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
