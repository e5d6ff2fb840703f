"""The Ray actor that stands for one teacher on a cluster: named by its features, it holds replicas and leases.

It needs no CPU of its own and loads no model, so it answers whatever its replicas do. Detached: it outlives the
driver that started it by the time that a lease lives, and ends itself when nobody holds one.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import ray

from ray_compt.teacher.autoscale import Autoscaler, Bounds
from ray_compt.teacher.leases import Leases
from ray_compt.teacher.pool import Place, Pool
from ray_compt.teacher.spec import TeacherSpec

LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class ServiceConfig:
    """How a teacher is served; the first to ask for a teacher decides.

    Attributes:
        place: of one replica.
        replicas: fewest and most.
        ttl_s: seconds that the service waits for a first lease.
        hang_s: seconds after which a replica counts as hung.
    """

    place: Place
    replicas: Bounds
    ttl_s: float
    hang_s: float


@dataclass(frozen=True)
class ServiceState:
    """What `compt teacher ls` shows.

    Attributes:
        served: samples answered by the replicas that run.
        waiting: samples asked for and not answered.
        busy: mean share of time that the replicas computed, 0 to 1.
        leases: seconds left, by holder.
        restarts: of replicas that hung.
        error: largest 1 - cos to the fp32 features seen at a replica's first request; None: not measured.
    """

    name: str
    folder: str
    precision: str
    rows: int
    replicas: int
    served: int
    waiting: int
    busy: float
    leases: dict[str, float]
    restarts: int
    error: float | None


class TeacherService:
    """Holds the replicas of one `TeacherSpec` for as long as somebody holds a lease."""

    def __init__(self, spec: TeacherSpec, config: ServiceConfig):
        self._spec, self._config = spec, config
        self._lock = threading.Lock()
        self._leases = Leases(idle_since=time.monotonic())
        self._pool = Pool(spec, config.place, config.hang_s)
        self._autoscaler = Autoscaler(config.replicas)
        for _ in range(config.replicas.least):
            self._pool.grow()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def lease(self, holder: str, ttl_s: float) -> None:
        """Keep the service for `holder`, for another `ttl_s` seconds."""
        with self._lock:
            self._leases.take(holder, ttl_s, time.monotonic())

    def give_back(self, holder: str) -> None:
        """End a lease; with the last one the service ends."""
        with self._lock:
            self._leases.give_back(holder, time.monotonic())
            idle = self._leases.idle_since is not None
        if idle:
            _end()

    def replicas(self) -> list[tuple[Any, str]]:
        """The actors that answer, each with the id of its node ("" before it has one)."""
        with self._lock:
            return [(replica.actor, replica.node) for replica in self._pool.replicas]

    def state(self) -> ServiceState:
        with self._lock:
            pool = self._pool
            errors = [found.load.error for found in pool.replicas if found.load.error is not None]
            return ServiceState(
                name=self._spec.name,
                folder=self._spec.folder,
                precision=self._spec.precision,
                rows=self._spec.rows,
                replicas=len(pool.replicas),
                served=sum(replica.load.served for replica in pool.replicas),
                waiting=pool.waiting(),
                busy=pool.busy(),
                leases=self._leases.left(time.monotonic()),
                restarts=pool.restarts,
                error=max(errors, default=None),
            )

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            with self._lock:
                now = time.monotonic()
                self._leases.expire(now)
                since = self._leases.idle_since
                over = since is not None and now - since > self._config.ttl_s
                self._pool.look()
                self._scale()
            if over:
                _end()

    def _scale(self) -> None:
        pool = self._pool
        running = len(pool.replicas)
        wanted = self._autoscaler.wanted(running, pool.busy(), pool.waiting(), self._spec.rows)
        # One that waits for a device is enough.
        if wanted > running and all(replica.node for replica in pool.replicas):
            pool.grow()
        elif wanted < running:
            pool.shrink()


def _end() -> None:
    """End this actor, and with it the replicas, which it owns."""
    ray.kill(ray.get_runtime_context().current_actor, no_restart=True)
