"""The nodes of the cluster that this process is connected to, and a probe on each. All of this room's Ray is here.

A probe runs in a worker process that Ray starts plainly, not by way of the fork server: that one imports torch first,
which takes longer than all the looking.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
import ray._private.worker
from ray._private.authentication.authentication_utils import is_token_auth_enabled
from ray._private.state import state as cluster_state
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_compt import forkserver
from ray_compt.doctor import probe
from ray_compt.doctor.judge_machine import clock_offset
from ray_compt.doctor.ray_text import cannot_import, last_line, name_nodes
from ray_compt.train.reachable import answering

# Seconds for a worker process to start, and to look.
PATIENCE_S = 90.0
CLOCK_TRIES = 3


@dataclass(frozen=True)
class Node:
    """One node.

    Attributes:
        id: Ray's.
        name: for people: its address and host, and its id where these are not enough.
        resources: what it has.
        mine: whether this process runs on it.
    """

    id: str
    name: str
    resources: Mapping[str, float]
    mine: bool

    @property
    def works(self) -> bool:
        """Whether workers, readers or teachers can run there: many heads are kept free of them."""
        return self.resources.get("CPU", 0) > 0 or self.resources.get("GPU", 0) > 0


@dataclass(frozen=True)
class Answer:
    """What a node said.

    Attributes:
        text: of `probe.look`.
        failure: why there is none.
        silent: nothing can be said of it: it has not answered in time, or is leaving.
    """

    text: str | None = None
    failure: str = ""
    silent: bool = False


def living_nodes() -> list[Node]:
    """The nodes that answer, this process's first."""
    found = answering(ray.nodes())
    here = ray.get_runtime_context().get_node_id()
    names = name_nodes(found)
    nodes = [
        Node(raw["NodeID"], names[raw["NodeID"]], raw["Resources"], raw["NodeID"] == here) for raw in found
    ]
    return sorted(nodes, key=lambda node: (not node.mine, node.name))


def ask_nodes(
    nodes: Sequence[Node], request: str, *, keep: bool = False, patience_s: float = PATIENCE_S
) -> dict[str, Answer]:
    """What each node, by its name, answers to a `probe.request`; all are asked at once.

    Args:
        keep: leave the processes for a further question.
        patience_s: seconds to wait for all.
    """
    look = ray.remote(max_calls=0 if keep else 1)(probe.look)
    asked = {look.options(**_pinned(node)).remote(request, mark_of(node)): node for node in nodes}
    done, silent = ray.wait(list(asked), num_returns=len(asked), timeout=patience_s) if asked else ([], [])
    answers = {asked[reference].name: _answer(reference) for reference in done}
    for reference in silent:
        ray.cancel(reference, force=True)
        answers[asked[reference].name] = Answer(failure=f"no answer within {patience_s:g} s", silent=True)
    return answers


def mark_of(node: Node) -> str:
    """What the names of a node's marks end with."""
    return node.id[:12]


def clock_offsets(nodes: Sequence[Node], patience_s: float = PATIENCE_S) -> dict[str, tuple[float, float]]:
    """Of each node that answers, by its name, `clock_offset`: the best of some tries."""
    clock = ray.remote(probe.clock)
    found: dict[str, tuple[float, float]] = {}
    # The first calls start the processes.
    started = {clock.options(**_pinned(node)).remote(): node for node in nodes}
    ready, silent = (
        ray.wait(list(started), num_returns=len(started), timeout=patience_s) if started else ([], [])
    )
    for reference in silent:
        ray.cancel(reference, force=True)
    for node in (started[reference] for reference in ready):
        for _ in range(CLOCK_TRIES):
            sent = time.time()
            try:
                there = ray.get(clock.options(**_pinned(node)).remote(), timeout=patience_s)
            except ray.exceptions.RayError:
                break
            offset = clock_offset(sent, there, time.time())
            if node.name not in found or offset[1] < found[node.name][1]:
                found[node.name] = offset
    return found


def most_possible() -> dict[str, float] | None:
    """What the autoscaler may make of the cluster at most, in Ray's resources; None where there is none."""
    return cluster_state.get_max_resources_from_cluster_config()


def dashboard() -> str | None:
    """HOST:PORT of the dashboard; None where it is off."""
    node = ray._private.worker._global_node
    return (node.webui_url or None) if node else None


def asks_for_token() -> bool:
    return bool(is_token_auth_enabled())


def _pinned(node: Node) -> dict[str, Any]:
    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_retries": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False),
    }
    if forkserver.available(os.environ):
        options["runtime_env"] = {"py_executable": forkserver.plain_executable()}
    return options


def _answer(reference: Any) -> Answer:
    try:
        return Answer(text=ray.get(reference))
    except ray.exceptions.RayError as error:
        missing = cannot_import(str(error))
        if missing:
            return Answer(failure=f"ray_compt does not run there ({missing})")
        return Answer(failure=last_line(str(error)), silent=True)
