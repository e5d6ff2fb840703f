"""What differs between two resolved chains, key by key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import Chain
from ray_compt.config.tree import Path, dotted


class _Absent:
    """Stands for a value that one of the chains does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


@dataclass(frozen=True)
class Difference:
    """One value that changed.

    Attributes:
        path: dotted, as `--set` takes it: `stages.1.train.lr`.
        old: the value in the first chain, or ABSENT.
        new: the value in the second chain, or ABSENT.
    """

    path: str
    old: Any
    new: Any

    @property
    def stage(self) -> int | None:
        """Index of the stage that the value belongs to; None where it belongs to the whole chain."""
        keys = self.path.split(".")
        return int(keys[1]) if keys[0] == "stages" else None

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}"


def compare_chains(old: Chain, new: Chain) -> list[Difference]:
    """All differences in the order of the keys; empty for equal chains. Stages are compared by index."""
    return list(_differences((), old.model_dump(mode="json"), new.model_dump(mode="json")))


def _differences(path: Path, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [*old, *(key for key in new if key not in old)]
        pairs = [(key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys]
    elif path == ("stages",):
        longest = range(max(len(old), len(new)))
        pairs = [(i, old[i] if i < len(old) else ABSENT, new[i] if i < len(new) else ABSENT) for i in longest]
    elif old != new:
        yield Difference(dotted(path), old, new)
        return
    else:
        return
    for key, before, after in pairs:
        yield from _differences((*path, key), before, after)
