"""The replicas of one teacher: started, asked for their load, restarted when they hang, more or fewer of them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import ray

from ray_compt.teacher.batcher import NOTHING, Load
from ray_compt.teacher.replica import TeacherReplica
from ray_compt.teacher.spec import TeacherSpec

# A replica may be asked for features by this many workers at once.
CONCURRENT = 256


@dataclass(frozen=True)
class Place:
    """Ray's logical resources of one replica."""

    cpus: float
    gpus: float


@dataclass
class Replica:
    """An actor and what is known of it.

    Attributes:
        node: id of its node; "" while it waits for one, where silence is no sign of hanging.
        heard: when it last answered, monotonic seconds.
        asked: the load that was asked for and has not come yet, and when it was asked for.
    """

    actor: Any
    load: Load = NOTHING
    busy: float = 0.0
    node: str = ""
    heard: float = field(default_factory=time.monotonic)
    asked: Any = None


class Pool:
    """Replicas of a spec; they end with the process that holds the pool.

    Args:
        hang_s: seconds without an answer, or without progress on a request, after which one is restarted.
    """

    def __init__(self, spec: TeacherSpec, place: Place, hang_s: float):
        self._spec, self._place, self._hang_s = spec, place, hang_s
        self.replicas: list[Replica] = []
        self.restarts = 0
        self._looked = time.monotonic()

    def grow(self) -> None:
        actor = ray.remote(TeacherReplica).options(
            num_cpus=self._place.cpus,
            num_gpus=self._place.gpus,
            max_restarts=-1,
            max_task_retries=-1,
            max_concurrency=CONCURRENT,
            # A second copy is for workers that are elsewhere.
            scheduling_strategy="SPREAD" if self.replicas else "DEFAULT",
        )
        self.replicas.append(Replica(actor.remote(self._spec)))

    def shrink(self) -> None:
        """Drop the newest replica, which finishes what it was asked for."""
        self.replicas.pop().actor.__ray_terminate__.remote()

    def look(self) -> None:
        """Take in the answers that have come, ask again, and restart what hangs. Never waits."""
        now = time.monotonic()
        seconds, self._looked = max(now - self._looked, 1e-3), now
        for replica in self.replicas:
            if replica.asked is not None and ray.wait([replica.asked], timeout=0)[0]:
                self._take(replica, seconds, now)
            if replica.asked is None:
                replica.asked = replica.actor.state.remote()
            if replica.node and max(now - replica.heard, replica.load.oldest_s) > self._hang_s:
                self._restart(replica, now)

    def busy(self) -> float:
        return sum(replica.busy for replica in self.replicas) / max(1, len(self.replicas))

    def waiting(self) -> int:
        return sum(replica.load.waiting for replica in self.replicas)

    def _take(self, replica: Replica, seconds: float, now: float) -> None:
        try:
            load, replica.node = ray.get(replica.asked)
        except ray.exceptions.RayError:
            # It is being restarted; Ray repeats what it had not answered.
            load = NOTHING
        replica.busy = min(1.0, max(0.0, load.busy_s - replica.load.busy_s) / seconds)
        replica.load, replica.heard, replica.asked = load, now, None

    def _restart(self, replica: Replica, now: float) -> None:
        """Ray starts it again and repeats the requests."""
        self.restarts += 1
        replica.heard, replica.asked, replica.load, replica.node = now, None, NOTHING, ""
        ray.kill(replica.actor, no_restart=False)
