"""Holding a teacher from the driver: its service is started or found, kept by a lease, and given back."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray

from ray_compt.teacher.directory import ANSWER_S, find, start_or_find
from ray_compt.teacher.service import Place, ServiceConfig
from ray_compt.teacher.spec import TeacherSpec

POLL_S = 0.2
# Longest wait for room for a first replica.
PLACE_S = 60.0


@contextmanager
def serving(spec: TeacherSpec, config: ServiceConfig, purpose: str) -> Iterator[threading.Event]:
    """Keep the service of `spec` while inside; gives an event that is set once the service knows of it.

    Args:
        purpose: what the lease is for, as `compt teacher ls` shows it.
    """
    lease = _Lease(spec, config, f"{purpose} ({socket.gethostname()} pid {os.getpid()})")
    try:
        yield lease.held
    finally:
        lease.give_back()


def gets_a_place(spec: TeacherSpec, place: Place, seconds: float = PLACE_S) -> bool:
    """Whether a held teacher's first replica runs somewhere, or will as soon as its process has started."""
    if _is_free(place):
        return True
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if any(node for _, node in _replicas(spec.name)) or _is_free(place):
            return True
        time.sleep(POLL_S)
    return False


class _Lease:
    """Renewed by a thread until it is given back; a service that has ended meanwhile is started again."""

    def __init__(self, spec: TeacherSpec, config: ServiceConfig, holder: str):
        self._spec, self._config, self._holder = spec, config, holder
        self._over, self.held = threading.Event(), threading.Event()
        start_or_find(spec, config)
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def give_back(self) -> None:
        self._over.set()
        self._thread.join(ANSWER_S)
        # The last lease ends the service before it has answered.
        with suppress(ValueError, ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
            ray.get(find(self._spec.name).give_back.remote(self._holder), timeout=ANSWER_S)

    def _keep(self) -> None:
        wait_s = 0.0
        # Once Ray is shut down, the next call would start it again.
        while not self._over.wait(wait_s) and ray.is_initialized():
            wait_s = self._config.ttl_s / 3
            try:
                service = start_or_find(self._spec, self._config)
                ray.get(service.lease.remote(self._holder, self._config.ttl_s), timeout=ANSWER_S)
                self.held.set()
            except ray.exceptions.RayActorError:
                # It was just ending.
                wait_s = POLL_S
            except Exception:
                wait_s = 1.0


def _is_free(place: Place) -> bool:
    free = ray.available_resources()
    return free.get("CPU", 0.0) >= place.cpus and free.get("GPU", 0.0) >= place.gpus


def _replicas(name: str) -> list[tuple[object, str]]:
    try:
        return ray.get(find(name).replicas.remote(), timeout=ANSWER_S)
    except (ValueError, ray.exceptions.RayError):
        return []
