"""The teachers that run on a cluster: found, started, listed and stopped by name."""

from __future__ import annotations

from typing import Any

import ray

from ray_compt.teacher.service import ServiceConfig, ServiceState, TeacherService
from ray_compt.teacher.spec import TeacherSpec

NAMESPACE = "ray_compt"
ANSWER_S = 30.0


def start_or_find(spec: TeacherSpec, config: ServiceConfig) -> Any:
    """The service of these features; the first to ask starts it, with its own configuration."""
    return (
        ray.remote(TeacherService)
        .options(
            name=spec.name,
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            max_restarts=-1,
            max_concurrency=16,
            # A sweep's trial has a placement group of its own, in which it must not end up.
            scheduling_strategy="DEFAULT",
        )
        .remote(spec, config)
    )


def find(name: str) -> Any:
    """The service of this name.

    Raises:
        ValueError: there is none.
    """
    return ray.get_actor(name, namespace=NAMESPACE)


def names() -> list[str]:
    """Of all services on the cluster, sorted."""
    found = ray.util.list_named_actors(all_namespaces=True)
    return sorted(one["name"] for one in found if one["namespace"] == NAMESPACE)


def state(name: str) -> ServiceState | None:
    """Of one service; None where there is none, or it does not answer."""
    try:
        return ray.get(find(name).state.remote(), timeout=ANSWER_S)
    except (ValueError, ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
        return None


def stop(name: str) -> None:
    """End a service, whoever holds a lease; who still needs it starts it again.

    Raises:
        ValueError: there is none of this name.
    """
    ray.kill(find(name), no_restart=True)
