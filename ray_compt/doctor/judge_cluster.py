"""Room for the workers, and who may reach the cluster. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ray_compt.doctor.finding import Finding
from ray_compt.train.cluster import Needs
from ray_compt.train.scaling import Resources, places

_LOCAL = ("127.0.0.1", "localhost", "[::1]")


def judge_here(needs: Needs, gpus: int) -> Finding:
    """Room for the fewest workers on this machine, whose cores were counted before.

    Args:
        gpus: devices that it has.
    """
    wanted = needs.total(needs.workers)["GPU"]
    if wanted > gpus:
        return Finding(
            "workers",
            "wrong",
            f"{_range(needs)} and the teacher need {wanted:g} GPUs or more; this machine has {gpus}",
            "give --address of a cluster that has them, or train on CPUs with workers.gpus and teacher.gpus 0",
        )
    return Finding("workers", "ok", f"{_range(needs)} asked for, room for {needs.workers} or more")


def judge_workers(needs: Needs, nodes: Mapping[str, Resources], most: Mapping[str, float] | None) -> Finding:
    """Room for the workers on nodes, each on one whole, now and later.

    Args:
        needs: what is asked for; that its sum is there was checked before.
        nodes: what each node has.
        most: what the autoscaler may make of it all together; None without one.
    """
    room = places(nodes, {"CPU": needs.cpus, "GPU": needs.gpus})
    gpus = f" and {needs.gpus:g} GPUs" if needs.gpus else ""
    asked = f"{_range(needs)} of {needs.cpus:g} CPUs{gpus}"
    if room >= needs.most:
        return Finding("workers", "ok", f"{asked} asked for, room for {room}")
    if most is not None:
        return Finding("workers", "ok", f"{asked} asked for, room for {room} now; {_may_come(most)}")
    if room >= needs.workers:
        return Finding("workers", "ok", f"{asked} asked for, room for {room} until nodes are added")
    return Finding(
        "workers",
        "wrong",
        f"{asked} asked for, room for {room}: each has to fit on one node",
        "add nodes, or lower workers.min, workers.cpus or workers.gpus",
    )


def _range(needs: Needs) -> str:
    if needs.most == needs.workers:
        return f"{needs.workers} worker{'s' if needs.workers > 1 else ''}"
    return f"{needs.workers} to {needs.most} workers"


def _may_come(most: Mapping[str, float]) -> str:
    kinds = [f"{most[kind]:g} {kind}s" for kind in ("CPU", "GPU") if most.get(kind)]
    return f"the autoscaler may make it {' and '.join(kinds) or 'more'}"


def judge_access(dashboard: str | None, token: bool, nodes: int) -> list[Finding]:
    """Who may run code on the cluster.

    Args:
        dashboard: HOST:PORT of it; None: it is off.
        token: whether Ray asks for a token.
        nodes: how many there are.
    """
    jobs = (
        Finding("dashboard", "ok", f"at {dashboard}")
        if dashboard
        else Finding(
            "dashboard",
            "warn",
            "off: no jobs can be submitted, and nobody can look at the cluster",
            "`ray start --head --include-dashboard=true`",
        )
    )
    if token:
        return [jobs, Finding("token", "ok", "Ray asks for it")]
    if nodes == 1 and (dashboard is None or dashboard.rpartition(":")[0] in _LOCAL):
        return [jobs, Finding("token", "ok", "not asked for, and only this machine can reach it")]
    return [
        jobs,
        Finding(
            "token",
            "warn",
            "not asked for: whoever reaches Ray's ports runs code as you",
            "RAY_AUTH_MODE=token for `ray start` on every node, and keep the ports off public networks",
        ),
    ]
