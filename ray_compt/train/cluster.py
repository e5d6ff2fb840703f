"""Connecting to Ray, and making sure that a stage's resources can exist before anything waits for them."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from ray_compt import forkserver
from ray_compt.errors import UserError
from ray_compt.train.ray_job import ask_for_time
from ray_compt.train.scaling import READING_TASKS

# Seconds; Ray's own defaults wait much longer, or for ever.
WORKER_START_S, COLLECTIVE_S, CONNECT_S = 30, 300, 10
LAST_PORT = 65_535
STDERR = 2
BACKEND_LEVEL = "RAY_BACKEND_LOG_LEVEL"

QUIET = {
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_CONTROLLER_STRUCTURED_LOGGING": "0",
    "RAY_TRAIN_ENABLE_WORKER_STRUCTURED_LOGGING": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
ALWAYS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # One more process a stage, whose notices nothing here reads yet.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(WORKER_START_S),
    "RAY_TRAIN_COLLECTIVE_TIMEOUT_S": str(COLLECTIVE_S),
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # A hung worker does not leave its group, and is killed afterwards in any case.
    "TORCH_PROCESS_GROUP_SHUTDOWN_TIMEOUT_S": "5",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TOKENIZERS_PARALLELISM": "false",
    # Ray starts these before it knows the job's environment, so that none of them can be used.
    "RAY_prestart_worker_first_driver": "0",
}
# What the processes of a stage import: controller, workers, readers, teachers, evaluation. DeepSpeed looks for GPUs
# when it is imported, so that each worker does that itself.
WORKER_MODULES = (
    "ray.data",
    "ray.train.v2._internal.execution.controller.controller",
    "ray_compt.train.ray_internals",
    "ray_compt.train.worker",
    "ray_compt.evaluate",
)


@dataclass(frozen=True)
class Needs:
    """What a run needs at the same time, in Ray's logical resources.

    Attributes:
        workers: fewest training workers; `most` is the largest number of them.
        cpus, gpus: of one worker.
        teacher_cpus, teacher_gpus: of the teacher; 0 without one.
        reader_cpus: of one reading task.
    """

    workers: int
    most: int
    cpus: float
    gpus: float
    teacher_cpus: float = 0
    teacher_gpus: float = 0
    reader_cpus: float = 0.25

    def total(self, workers: int) -> dict[str, float]:
        cpus = workers * (self.cpus + READING_TASKS * self.reader_cpus) + self.teacher_cpus
        return {"CPU": cpus, "GPU": workers * self.gpus + self.teacher_gpus}


def start_ray(address: str | None, needs: Needs, *, verbose: bool = False) -> None:
    """Connect to a running cluster, or start Ray on this machine where `address` is None.

    On this machine we own Ray's count of CPUs: workers, readers and the teacher share the real cores instead
    of waiting for one another for ever.

    Raises:
        UserError: no cluster at `address`, or too few CPUs or GPUs for the fewest workers.
    """
    _set_environment(verbose)
    import ray

    if not ray.is_initialized():
        if address is None:
            check_this_machine(needs)
        _connect(address, _own_cpus(needs), verbose=verbose)
        ask_for_time()
    check_cluster(needs)
    if forkserver.available(os.environ):
        # The first worker starts the fork server, which imports while this process does.
        ray.remote(_nothing).options(num_cpus=0).remote()


def _nothing() -> None:
    pass


@contextmanager
def connected(address: str, *, verbose: bool = False) -> Iterator[None]:
    """A running cluster, left again at the end.

    Raises:
        UserError: there is none at `address`.
    """
    _set_environment(verbose)
    import ray

    with nullcontext() if verbose else _muted():
        _connect(address, None, verbose=verbose)
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _muted() -> Iterator[None]:
    """Let Ray's C++ side, which starts inside, say nothing on the terminal from then on; what fails raises.

    It warns of every pool of actors that Ray Data starts. That it was told not to, it announces on standard error, past
    Python.
    """
    before = os.environ.get(BACKEND_LEVEL)
    os.environ[BACKEND_LEVEL] = before or "fatal"
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)
    try:
        yield
    finally:
        if before is None:
            del os.environ[BACKEND_LEVEL]
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)


def usable_cores() -> int:
    return len(os.sched_getaffinity(0))


def _set_environment(verbose: bool) -> None:
    for name, value in (ALWAYS if verbose else ALWAYS | QUIET).items():
        os.environ.setdefault(name, value)


def _own_cpus(needs: Needs) -> int:
    """What Ray counts here: the worker group, one reader each, the teacher, two for evaluation and indexing."""
    return max(usable_cores(), int(needs.total(min(needs.most, usable_cores()))["CPU"]) + 3)


def _connect(address: str | None, cpus: int | None, *, verbose: bool) -> None:
    import ray

    level = "INFO" if verbose else "ERROR"
    options: dict[str, Any] = {"logging_level": level, "log_to_driver": verbose, "configure_logging": verbose}
    if address is None:
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    else:
        _check_address(address)
        options |= {"address": address}
    if forkserver.available(os.environ):
        options["runtime_env"] = {"py_executable": forkserver.py_executable(WORKER_MODULES)}
    if not verbose:
        logging.getLogger("ray").setLevel(logging.ERROR)
        _silence_cluster_messages()
    for attempt in range(3):
        try:
            with _kept_sigterm():
                ray.init(**options)
            return
        except ConnectionError as error:
            raise _no_cluster(address, error) from error
        except Exception:
            # On a loaded machine Ray's processes sometimes miss their own start-up deadline, in several ways.
            if attempt == 2:
                raise
            ray.shutdown()
            time.sleep(2)


def _silence_cluster_messages() -> None:
    """Keep what raylets report (a node that died, memory pressure) off the terminal: the stage's lines say it.

    `ray.init` starts a thread that prints them whatever the log level.
    """
    import ray._private.worker

    ray._private.worker.listen_error_messages = lambda *_: None


@contextmanager
def _kept_sigterm() -> Iterator[None]:
    """Put the caller's SIGTERM handler back: connecting installs Ray's own, which aborts the process."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _check_address(address: str) -> None:
    """Knock at HOST:PORT, because Ray itself tries for a minute before it gives up."""
    if address == "auto":
        return
    if address.startswith(("http://", "https://")):
        raise UserError(
            f"{address} is a dashboard's URL, to which jobs are sent",
            where="--address",
            mend="send the run there with `compt submit`, or give the cluster's HOST:PORT",
        )
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port) <= LAST_PORT):
        raise UserError(f"{address!r} is no address", where="--address", mend="give HOST:PORT, or auto")
    try:
        socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=CONNECT_S).close()
    except (OSError, UnicodeError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str | None, error: Exception) -> UserError:
    return UserError(
        f"no Ray cluster answers ({str(error).splitlines()[0]})",
        where=f"address {address}",
        mend="start one with `ray start --head`, or leave out --address and RAY_ADDRESS to use this machine",
    )


def check_this_machine(needs: Needs) -> None:
    """Raise UserError where the fewest workers, more than one, have no core each here."""
    cores = usable_cores()
    if needs.workers * needs.cpus > cores and needs.workers > 1:
        raise UserError(
            f"{needs.workers} workers of {needs.cpus:g} CPUs need {needs.workers * needs.cpus:g} CPUs; "
            f"this machine has {cores}",
            where="workers.min",
            mend=f"set workers.min to {max(1, int(cores // needs.cpus))} or less, or give --address of a cluster",
        )


def check_cluster(needs: Needs) -> None:
    """Raise UserError where the cluster has too few CPUs or GPUs for the fewest workers."""
    import ray

    have, want = ray.cluster_resources(), needs.total(needs.workers)
    short = {kind: (amount, have.get(kind, 0)) for kind, amount in want.items() if amount > have.get(kind, 0)}
    if short:
        listed = " and ".join(f"{want:g} {kind}s (it has {got:g})" for kind, (want, got) in short.items())
        raise UserError(
            f"{needs.workers} workers with their readers and teacher need {listed}",
            where="Ray cluster",
            mend="add nodes, or lower workers.min, workers.cpus, workers.gpus or teacher.cpus",
        )
