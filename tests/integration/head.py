"""A real `ray start --head` with its dashboard and a token, on ports of its own, and jobs on it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.integration.harness import (
    TIMEOUT_S,
    command,
    descendants,
    end,
    environment,
    hear_interrupts,
    ray_folder,
)

# Ray's workers take theirs from 10002 to 19999.
PORTS = range(20_000, 30_000)
START_S = 240
TRIES = 3
LOCAL = "127.0.0.1"
# The dashboard is ten processes, which a loaded machine does not start within Ray's minute.
PATIENT = {
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": str(START_S),
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": str(START_S),
}
PROGRAMS = Path(sys.executable).parent


@dataclass
class Head:
    """A cluster on this machine.

    Attributes:
        folder: of Ray's own files; nodes are started in `folder`/start, so that jobs without a working directory begin
            there.
        dashboard: its URL.
        address: HOST:PORT, as for `compt train`.
        variables: environment of every process that may talk to it, the token among it.
        python: interpreter of its nodes.
        nodes: processes of `ray start --block`.
    """

    folder: Path
    dashboard: str
    address: str
    variables: dict[str, str]
    python: str = sys.executable
    nodes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def start(self) -> Path:
        return self.folder / "start"

    def run(
        self, *words: str | Path, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in an environment that knows the token and the dashboard's address."""
        return subprocess.run(
            list(map(str, words)),
            env={**self.variables, "RAY_ADDRESS": self.dashboard, **more},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )

    def compt(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return self.run(*command(*arguments), cwd=cwd)

    def popen(self, *arguments: str | Path, log: Path) -> subprocess.Popen[str]:
        """A `compt` that hears SIGINT."""
        return subprocess.Popen(
            command(*arguments),
            env={**self.variables, "RAY_ADDRESS": self.dashboard},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=hear_interrupts,
        )

    def status(self, name: str | Path) -> dict[str, Any]:
        """`compt status NAME --json`."""
        done = self.compt("status", name, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def add(self, cpus: float, **resources: float) -> None:
        """Start another node, on which there are `resources`."""
        self.start_node("--address", self.address, cpus=cpus, resources=resources)

    def start_node(self, *options: str, cpus: float, resources: dict[str, float] | None = None) -> None:
        """Start a node; on a loaded machine some of Ray's processes miss their own start-up deadlines, so try again."""
        log = self.folder / f"node{len(self.nodes)}.log"
        for _ in range(TRIES):
            agent, metrics = free_ports(2)
            own = [
                *("--num-cpus", f"{cpus:g}", "--resources", json.dumps(resources or {})),
                *("--dashboard-agent-listen-port", str(agent), "--metrics-export-port", str(metrics)),
            ]
            node, family = self._ray_start(log, *own, *options), list[psutil.Process]()
            while node.poll() is None and "Ray runtime started" not in log.read_text():
                family = descendants(node.pid)
                time.sleep(0.5)
            if node.poll() is None:
                self.nodes.append(node)
                return
            end(family)
        raise AssertionError(log.read_text())

    def _ray_start(self, log: Path, *options: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(Path(self.python).parent), self.variables.get("PATH", "")])
        start = [self.python, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        return subprocess.Popen(
            [*start, "--object-store-memory", str(200 << 20), *options],
            env={**self.variables, "PATH": path},
            cwd=self.start,
            stdin=subprocess.DEVNULL,
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )

    def stop(self) -> None:
        """End all nodes and what they started; the last first."""
        left: list[psutil.Process] = []
        for node in reversed(self.nodes):
            left += descendants(node.pid)
            node.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.wait(20)
            node.kill()
            node.wait()
        end([process for process in left if process.is_running()])


def wait(what: str, found: Callable[[], Any], timeout: float = START_S) -> Any:
    """The first true value of `found()`; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {what}"
        time.sleep(0.2)
    return value


@contextmanager
def running_head(cpus: float, python: str = sys.executable) -> Iterator[Head]:
    """A head node; nothing of it is left afterwards."""
    with ray_folder() as name:
        folder = Path(name)
        gcs, dashboard, clients = free_ports(3)
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        own = {
            key: value
            for key, value in environment(name).items()
            if key != "PYTHONPATH" or python == sys.executable
        }
        variables = {**own, **PATIENT, **token, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ.get('PATH', '')}"}
        head = Head(folder, f"http://{LOCAL}:{dashboard}", f"{LOCAL}:{gcs}", variables, python)
        head.start.mkdir()
        try:
            head.start_node(
                *("--head", "--temp-dir", name, "--port", str(gcs), "--ray-client-server-port", str(clients)),
                *("--include-dashboard", "true", "--dashboard-port", str(dashboard)),
                cpus=cpus,
            )
            # Ray calls itself started before its dashboard listens.
            wait("the dashboard", lambda: listens(dashboard))
            yield head
        finally:
            head.stop()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(PORTS)
        if port not in found and not listens(port):
            found.append(port)
    return found


def listens(port: int) -> bool:
    """Whether somebody does, on this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((LOCAL, port)) == 0
