"""The whole examination: of the cluster that this process is connected to, or of this machine alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray_compt.doctor import judge_machine, probe
from ray_compt.doctor.asked import Asked
from ray_compt.doctor.driver import Paths, not_seen, open_paths, standing
from ray_compt.doctor.facts import NodeFacts, this_machine
from ray_compt.doctor.finding import Finding, Problem, together, wrong
from ray_compt.doctor.judge_cluster import judge_access, judge_here, judge_workers
from ray_compt.doctor.judge_paths import judge_paths
from ray_compt.doctor.judge_versions import judge_installed, judge_versions
from ray_compt.doctor.reach import Unreached
from ray_compt.errors import UserError
from ray_compt.storage import is_url
from ray_compt.train.cluster import Needs, check_cluster, check_this_machine

if TYPE_CHECKING:
    from ray_compt.doctor.nodes import Answer, Node

# Nodes whose marks are looked for at the same time.
_AT_ONCE = 32
_BROKEN = "install ray_compt on every node, or bring it along in the job's runtime_env; the node's Ray logs say more"
_SILENT = "look at the load and the memory of that node; its Ray logs say more"


@dataclass(frozen=True)
class Examination:
    """Attributes: nodes: those that were looked at; findings: in the order of the table."""

    nodes: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        return not wrong(self.findings)

    def to_json(self) -> dict[str, Any]:
        findings = [finding.to_json() for finding in self.findings]
        return {"ok": self.well, "nodes": list(self.nodes), "findings": findings}


@dataclass(frozen=True)
class _Heard:
    """What nodes have said, by their names.

    Attributes:
        facts, unreached: of those that answered.
        broken: those that cannot answer, and why.
        silent: those that have not answered.
    """

    facts: dict[str, NodeFacts]
    unreached: dict[str, list[Unreached]]
    broken: list[tuple[str, Problem]]
    silent: list[tuple[str, Problem]]


def examine_machine(asked: Asked) -> Examination:
    """Look at this machine, where training starts a Ray of its own."""
    here = this_machine()
    with open_paths(asked.reads, asked.writes) as paths:
        findings = [
            Finding("nodes", "ok", f"this machine alone, {here.host}"),
            *_workers_here(asked, here),
            *paths.findings,
            *judge_paths(paths.seen, {}, 1),
            *judge_installed(here),
            *_machine({here.host: here}, {}, asked),
        ]
    return Examination((here.host,), tuple(findings))


def examine_cluster(asked: Asked) -> Examination:
    """Look at every node of the cluster that this process is connected to."""
    from ray_compt.doctor import nodes as cluster

    here, nodes = this_machine(), cluster.living_nodes()
    working = [node for node in nodes if node.works]
    with open_paths(asked.reads, asked.writes) as paths:
        heard = _ask(working, paths, keep=True)
        resources = {node.name: node.resources for node in nodes}
        token, dashboard = cluster.asks_for_token(), cluster.dashboard()
        findings = [
            *together("nodes", [*heard.broken, *heard.silent], _nodes_line(nodes)),
            *_workers(asked, resources, cluster.most_possible()),
            *paths.findings,
            *judge_paths(paths.seen, heard.unreached, len(heard.facts)),
            *judge_versions(here, heard.facts),
            *judge_machine.judge_clocks(cluster.clock_offsets([node for node in working if not node.mine])),
            *_machine(heard.facts, resources, asked),
            *judge_access(dashboard, token, len(nodes)),
        ]
    return Examination(tuple(node.name for node in nodes), tuple(findings))


def check_nodes(asked: Asked) -> list[str]:
    """Before training, on a cluster of several nodes: that every node sees the paths and runs the same code.

    One round of probes, a few seconds. What the driver itself does not find, training says better.

    Returns:
        Lines about what does not stop training.

    Raises:
        UserError: a node that lacks something; the message names it, and says how many things are wrong besides.
    """
    from ray_compt.doctor import nodes as cluster

    nodes = cluster.living_nodes()
    if len(nodes) < 2:
        return []
    with open_paths(asked.reads, asked.writes) as paths:
        heard = _ask([node for node in nodes if node.works], paths)
        found = [
            *together("nodes", heard.broken, ""),
            *judge_paths(paths.seen, heard.unreached, len(heard.facts)),
            *judge_versions(this_machine(), heard.facts),
        ]
    bad = wrong(found)
    if bad:
        raise bad[0].error(len(bad) - 1)
    warnings = [finding for finding in found if finding.state == "warn"]
    return [f"{finding.name}: {finding.text}" for finding in warnings] + [
        f"{node}: {problem.found}" for node, problem in heard.silent
    ]


def _ask(nodes: Sequence[Node], paths: Paths, *, keep: bool = False) -> _Heard:
    from ray_compt.doctor import nodes as cluster

    heard = _read(cluster.ask_nodes(nodes, probe.request(paths.samples, paths.marks), keep=keep))
    answered = [node for node in nodes if node.name in heard.facts]

    def look(node: Node) -> list[Unreached]:
        lacking = {path.name for path in heard.unreached[node.name]}
        return not_seen([mark for mark in paths.marks if mark.name not in lacking], cluster.mark_of(node))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for node, unseen in zip(answered, list(pool.map(look, answered))):
            heard.unreached[node.name] += unseen
    return heard


def _read(answers: Mapping[str, Answer]) -> _Heard:
    heard = _Heard({}, {}, [], [])
    for name, answer in answers.items():
        if answer.silent:
            heard.silent.append((name, Problem("wrong", answer.failure, _SILENT)))
        elif answer.text is None:
            heard.broken.append((name, Problem("wrong", answer.failure, _BROKEN)))
        else:
            try:
                heard.facts[name], heard.unreached[name] = probe.read(answer.text)
            except (ValueError, KeyError, TypeError):
                other = Problem("wrong", "another version of ray_compt answers there", _BROKEN)
                heard.broken.append((name, other))
    return heard


def _nodes_line(nodes: Sequence[Node]) -> str:
    cpus, gpus = (sum(node.resources.get(kind, 0) for node in nodes) for kind in ("CPU", "GPU"))
    mine = next((f"; the driver is on {node.name}" for node in nodes if node.mine), "")
    return f"{len(nodes)} {'node' if len(nodes) == 1 else 'nodes'}, {cpus:g} CPUs, {gpus:g} GPUs{mine}"


def _workers_here(asked: Asked, here: NodeFacts) -> list[Finding]:
    if asked.needs is None:
        return []
    return _refused(check_this_machine, asked.needs) or [judge_here(asked.needs, here.gpus)]


def _workers(
    asked: Asked, resources: Mapping[str, Mapping[str, float]], most: Mapping[str, float] | None
) -> list[Finding]:
    if asked.needs is None:
        return []
    return _refused(check_cluster, asked.needs) or [judge_workers(asked.needs, resources, most)]


def _refused(check: Callable[[Needs], None], needs: Needs) -> list[Finding]:
    """What a check of training's has against it, as a finding; none where it has nothing."""
    try:
        check(needs)
    except UserError as error:
        return [Finding("workers", "wrong", error.message, error.mend)]
    return []


def _machine(
    facts: Mapping[str, NodeFacts], resources: Mapping[str, Mapping[str, float]], asked: Asked
) -> list[Finding]:
    """The checks of each machine for itself."""
    of = {name: resources.get(name, {}) for name in facts}
    return [
        *_disk(asked),
        *judge_machine.judge_temp(facts),
        *judge_machine.judge_shared_memory(
            {name: (found, of[name].get("object_store_memory", 0)) for name, found in facts.items()}
        ),
        *judge_machine.judge_open_files(facts),
        *judge_machine.judge_gpus(
            {name: (found, of[name].get("GPU", 0)) for name, found in facts.items()}, asked.gpus
        ),
    ]


def _disk(asked: Asked) -> list[Finding]:
    if not asked.writes:
        return []
    path = asked.writes[0].path
    if is_url(path):
        return judge_machine.judge_disk(path, None, asked.disk_bytes)
    try:
        folder = standing(path)
    except NotADirectoryError:
        return []  # The run folder's own line says it.
    return judge_machine.judge_disk(folder, shutil.disk_usage(folder).free, asked.disk_bytes)
