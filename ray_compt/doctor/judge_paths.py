"""From what nodes said of the paths to findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ray_compt.doctor.finding import Finding, Problem, together
from ray_compt.doctor.reach import Unreached

_SHARE = "put it on storage that every node mounts at this path (NFS, EFS, Filestore, Lustre), or use a URL such as s3://"
_MENDS = {
    "missing": f"only some machines have it: {_SHARE}",
    "other": f"each machine has one of its own: {_SHARE}",
    "unreadable": "give the user that Ray runs as on that node the right to read it",
    "unwritable": "give the user that Ray runs as on that node the right to write there, and mount it for writing",
    "silent": "look at that node's mount, which hangs, or at its way to the object store",
    "store": "give that node the credentials, the region and the way to the store that this machine has",
}


def judge_paths(
    seen: Mapping[str, str], unreached: Mapping[str, Sequence[Unreached]], nodes: int
) -> list[Finding]:
    """Of each check one finding, or one for each thing that is wrong.

    Args:
        seen: what the driver saw, by the name of the check; only these are judged.
        unreached: by node, what it does not have as the driver has it.
        nodes: how many answered.
    """
    findings = []
    for name, where in seen.items():
        mine = {node: [path for path in paths if path.name == name] for node, paths in unreached.items()}
        problems = [(node, _problem(paths)) for node, paths in mine.items() if paths]
        findings += together(name, problems, _well(where, nodes))
    return findings


def _problem(paths: Sequence[Unreached]) -> Problem:
    """All of one node's in one line, which reads the same for every node that lacks the same."""
    first = paths[0]
    more = f", and {len(paths) - 1} more like it" if len(paths) > 1 else ""
    return Problem("wrong", f"{first.path} {first.reason}{more}", _MENDS[first.kind])


def _well(where: str, nodes: int) -> str:
    return f"{where}; the same on {nodes} nodes" if nodes > 1 else where
