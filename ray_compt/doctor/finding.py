"""What an examination finds: one line a check, or one for each thing that is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ray_compt.errors import UserError

State = Literal["ok", "warn", "wrong"]
# Nodes that a line names; the JSON names all.
NAMED = 3


@dataclass(frozen=True)
class Problem:
    """What a check has against a node.

    Attributes:
        state: "warn" where training would run all the same, "wrong" where it would not, or not as it should.
        found: what is there.
        mend: what to do about it, as an instruction.
    """

    state: State
    found: str
    mend: str


@dataclass(frozen=True)
class Finding:
    """A line of the table.

    Attributes:
        name: of the check.
        state, found, mend: as those of `Problem`; without a mend where all is well.
        nodes: whom it is about; none where it is about the cluster, or all is well.
    """

    name: str
    state: State
    found: str
    mend: str | None = None
    nodes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What was found, and on which nodes."""
        return f"{named(self.nodes)}: {self.found}" if self.nodes else self.found

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "nodes": list(self.nodes)}

    def error(self, others: int = 0) -> UserError:
        """The same as an exception; `others` more are wrong besides."""
        message = f"{self.name}: {self.found}" if self.nodes else self.found
        if others:
            message += f"; {others} more {'is' if others == 1 else 'are'} wrong, which `compt doctor` lists"
        return UserError(message, where=named(self.nodes) or self.name, mend=self.mend)


def together(name: str, problems: Iterable[tuple[str, Problem]], well: str) -> list[Finding]:
    """One finding for each problem, with all nodes that have it, the worst first; `well` where there is none."""
    nodes: dict[Problem, list[str]] = {}
    for node, problem in problems:
        nodes.setdefault(problem, []).append(node)
    if not nodes:
        return [Finding(name, "ok", well)]
    found = [
        Finding(name, problem.state, problem.found, problem.mend, tuple(having))
        for problem, having in nodes.items()
    ]
    return sorted(found, key=lambda finding: finding.state != "wrong")


def named(nodes: Sequence[str]) -> str:
    """The nodes for people: the first few, and how many more."""
    more = len(nodes) - NAMED
    return ", ".join(nodes[:NAMED]) + (f" and {more} more" if more > 0 else "")


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state == "wrong"]
