"""A small real cluster on this machine, whose processes and nodes a test stops, kills and drains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster

from ray_compt.chain.listener import EVENTS
from ray_compt.storage import JsonLines, open_place
from tests.integration.harness import (
    command,
    end,
    environment,
    hear_interrupts,
    ray_folder,
    read_token_mode,
)

WAIT_S = 240
WORKER, TEACHER, SERVICE, READER, EVALUATION = (
    "ray::RayTrainWorker",
    "ray::TeacherReplica",
    "ray::TeacherService",
    "ray::MapBatches",
    "ray::_evaluate",
)


def wait_for(what: str, found: Callable[[], Any], timeout: float = WAIT_S, every: float = 0.05) -> Any:
    """The first true value of `found()`, asked `every` so many seconds; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := found()):
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {what}"
        time.sleep(every)
    return value


class Driver:
    """A `compt train` in its own process, going on in a run folder."""

    def __init__(self, process: subprocess.Popen[str], run: Path, log: Path):
        self.process, self.run, self._log = process, run, log
        self._found_before = {path.name for path in run.glob("*/checkpoints/checkpoint_*")}

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self._log.read_text()

    def checkpoint_step(self, stage: str) -> int:
        """Step of the furthest checkpoint; 0 without one."""
        steps = [json.loads(file.read_text())["progress"]["step"] for file in self._checkpoints(stage)]
        return max(steps, default=0)

    def wait_for_step(self, stage: str, step: int) -> None:
        wait_for(f"step {step} of {stage}", lambda: self._runs() and self.steps(stage) >= step)

    def wait_for_new_checkpoints(self, stage: str, count: int) -> None:
        def new() -> bool:
            found = {file.parent.name for file in self._checkpoints(stage)}
            return self._runs() and len(found - self._found_before) >= count

        wait_for(f"{count} checkpoints of {stage}", new)

    def wait_for_output(self, text: str) -> None:
        wait_for(text, lambda: self._runs() and text in self.output)

    def events(self, stage: str, kind: str) -> list[dict[str, Any]]:
        """The stage's events of one kind so far."""
        found = JsonLines(open_place(self.run / stage), EVENTS).read() if (self.run / stage).exists() else []
        return [event for event in found if event["event"] == kind]

    def wait_for_event(self, stage: str, kind: str, count: int) -> dict[str, Any]:
        """The `count`-th event of a kind."""
        wait_for(
            f"{count} times {kind!r} of {stage}",
            lambda: self._runs() and len(self.events(stage, kind)) >= count,
        )
        return self.events(stage, kind)[count - 1]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def finish(self, code: int = 0, timeout: float = WAIT_S) -> str:
        """Wait for the end; returns what was printed."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {timeout:g} s:\n{self.output}") from None
        assert self.process.returncode == code, self.output
        assert "Traceback" not in self.output
        return self.output

    def steps(self, stage: str) -> int:
        """Steps taken, as far as they stand in the stage's metrics; the workers write them out every half second."""
        try:
            return (self.run / stage / "metrics.jsonl").read_text().count('"loss"')
        except FileNotFoundError:
            return 0

    def _checkpoints(self, stage: str) -> list[Path]:
        return sorted((self.run / stage).glob("checkpoints/checkpoint_*/state.json"))

    def _runs(self) -> bool:
        assert self.process.poll() is None, f"the driver ended early:\n{self.output}"
        return True


@dataclass
class SmallCluster:
    """Several raylets on this machine; the first is the head, where drivers run."""

    folder: str
    cluster: Cluster
    nodes: list[Any] = field(default_factory=list)
    drivers: list[Driver] = field(default_factory=list)

    def add(self, cpus: float) -> Any:
        node = self.cluster.add_node(num_cpus=cpus, object_store_memory=200 << 20)
        self.nodes.append(node)
        return node

    def kill_node(self, node: Any) -> None:
        """Take a node away at once, as a spot instance's end does."""
        self.nodes.remove(node)
        self.cluster.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        """End Ray's control store and the head's raylet at once."""
        for name in ("gcs_server", "raylet"):
            for info in self.nodes[0].all_processes.get(name, []):
                info.process.kill()

    def drain_nodes(self, *nodes: Any, seconds: int) -> None:
        """Announce that nodes will end, as a spot notice does."""
        told = [
            subprocess.Popen(
                [
                    *("ray", "drain-node", "--address", self.cluster.address, "--node-id", node.node_id),
                    *("--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"),
                    *("--deadline-remaining-seconds", str(seconds)),
                ],
                stdout=subprocess.DEVNULL,
                env=_with_venv(environment(self.folder)),
            )
            for node in nodes
        ]
        assert [notice.wait(60) for notice in told] == [0] * len(told)

    def train(self, chain: Path, run: Path, *options: str) -> Driver:
        log = Path(self.folder) / f"driver{len(self.drivers)}.log"
        process = subprocess.Popen(
            command("train", chain, "--run-dir", run, "--address", self.cluster.address, *options),
            env=environment(self.folder),
            stdin=subprocess.DEVNULL,
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=hear_interrupts,
        )
        driver = Driver(process, run, log)
        self.drivers.append(driver)
        return driver

    def processes(self, title: str, node: Any = None) -> list[psutil.Process]:
        """Ray's processes with this title, of one node or of all, the oldest first."""
        found = []
        for raylet in self._raylets([node] if node else self.nodes):
            for child in raylet.children(recursive=True):
                try:
                    if " ".join(child.cmdline()).startswith(title):
                        found.append(child)
                except psutil.Error:
                    continue
        return sorted(found, key=lambda process: process.create_time())

    def wait_for_processes(self, title: str, count: int = 1, node: Any = None) -> list[psutil.Process]:
        return wait_for(
            f"{count} processes {title}",
            lambda: len(found := self.processes(title, node)) >= count and found,
        )

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """No step is taken meanwhile, so that a short stage is not over before its cluster has changed."""
        workers = self.processes(WORKER)
        for worker in workers:
            worker.suspend()
        try:
            yield
        finally:
            for worker in workers:
                worker.resume()

    def stop(self) -> None:
        """End everything that this cluster or its drivers started."""
        left = [child for raylet in self._raylets(self.nodes) for child in raylet.children(recursive=True)]
        for driver in self.drivers:
            driver.kill()
        self.cluster.shutdown()
        end([process for process in left if process.is_running()])

    def _raylets(self, nodes: list[Any]) -> Iterator[psutil.Process]:
        for node in nodes:
            for info in node.all_processes.get("raylet", []):
                if psutil.pid_exists(info.process.pid):
                    yield psutil.Process(info.process.pid)


@contextmanager
def small_cluster(*cpus: float) -> Iterator[SmallCluster]:
    """A cluster with one node for each number of CPUs; nothing of it is left afterwards."""
    with ray_folder() as folder, _only(environment(folder)):
        cluster = SmallCluster(folder, Cluster())
        try:
            for count in cpus:
                cluster.add(count)
            yield cluster
        finally:
            cluster.stop()


@contextmanager
def _only(variables: dict[str, str]) -> Iterator[None]:
    """These environment variables and no others: what earlier tests' Ray has set in this process is not for ours."""
    before = dict(os.environ)
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)
    read_token_mode()


def kill(*processes: psutil.Process) -> None:
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)


def _with_venv(variables: dict[str, str]) -> dict[str, str]:
    return {**variables, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', '')}"}
