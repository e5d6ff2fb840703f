"""Whether all nodes run the same code. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ray_compt.doctor.facts import NodeFacts
from ray_compt.doctor.finding import Finding, Problem, together

# These decide what is computed, and what processes can say to one another; others are only named.
DECISIVE = ("ray_compt", "Python", "ray", "torch", "deepspeed", "open_clip_torch")
_SAME = "install the same wheel and the same constraints.txt on every node, or one image for all"
_NAME = "versions"


def judge_versions(here: NodeFacts, nodes: Mapping[str, NodeFacts]) -> list[Finding]:
    """Compare every node with the driver's machine.

    Args:
        here: of the driver's process.
        nodes: of each node, by its name.
    """
    problems = []
    for node, facts in nodes.items():
        apart = [name for name in DECISIVE if _apart(name, here, facts)]
        others = [name for name in here.packages.keys() | facts.packages.keys() if _apart(name, here, facts)]
        others = sorted(set(others) - set(DECISIVE))
        if apart:
            problems.append((node, Problem("wrong", _differences(apart, here, facts), _SAME)))
        elif here.code != facts.code:
            problems.append((node, Problem("wrong", _other_code(here), _SAME)))
        if others:
            problems.append((node, Problem("warn", _differences(others, here, facts), _SAME)))
    same = f"; the same on {len(nodes)} nodes" if len(nodes) > 1 else ""
    return together(_NAME, problems, f"{_listed(here)}{same}")


def judge_installed(here: NodeFacts) -> list[Finding]:
    """Of a machine alone: everything that training needs is installed."""
    missing = [name for name in DECISIVE if name not in here.packages]
    if not missing:
        return [Finding(_NAME, "ok", _listed(here))]
    return [
        Finding(
            _NAME,
            "wrong",
            f"{', '.join(missing)} is not installed",
            "install ray_compt with pip, not by copying it",
        )
    ]


def _apart(name: str, here: NodeFacts, there: NodeFacts) -> bool:
    return _public(here.packages.get(name)) != _public(there.packages.get(name))


def _public(version: str | None) -> str | None:
    """Without what follows "+": a head without GPUs may have torch for CPUs, its workers for CUDA."""
    return version and version.partition("+")[0]


def _differences(names: list[str], here: NodeFacts, there: NodeFacts) -> str:
    parts = [
        f"{name} {there.packages.get(name, 'none')} instead of {here.packages.get(name, 'none')}"
        for name in names
    ]
    return ", ".join(parts)


def _other_code(here: NodeFacts) -> str:
    return f"ray_compt {here.packages['ray_compt']} too, but its files differ"


def _listed(facts: NodeFacts) -> str:
    return ", ".join(f"{name} {facts.packages.get(name, 'none')}" for name in DECISIVE)
