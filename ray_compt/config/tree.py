"""Values of a chain file together with the place where each was written, so that any error can name it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Key = str | int
Path = tuple[Key, ...]


@dataclass(frozen=True)
class Node:
    """One value.

    Attributes:
        value: a scalar, a list of nodes or a dict of nodes.
        place: where it was written: ``chains/vit_4.yaml:12`` or ``--set train.lr=1e-3``.
        path: the keys that lead to it as its author wrote them (not as merging moved it).
    """

    value: Any
    place: str
    path: Path

    @property
    def mapping(self) -> bool:
        return isinstance(self.value, dict)

    def plain(self) -> Any:
        """The bare value, as pydantic reads it."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def child(self, key: Key) -> Node | None:
        found: Node | None = None
        if isinstance(self.value, dict):
            found = self.value.get(key)
        elif isinstance(self.value, list) and isinstance(key, int) and 0 <= key < len(self.value):
            found = self.value[key]
        return found

    def children(self) -> Iterable[Node]:
        if isinstance(self.value, dict):
            return self.value.values()
        return self.value if isinstance(self.value, list) else ()

    def nearest(self, path: Sequence[Key]) -> Node:
        """The deepest node on the way along `path`; keys that lead nowhere are skipped."""
        node = self
        for key in path:
            node = node.child(key) or node
        return node

    def find(self, path: Sequence[Key]) -> Node | None:
        """The node at `path`; None where nothing was written there."""
        node: Node | None = self
        for key in path:
            node = node.child(key) if node else None
        return node

    def locate(self, path: Sequence[Key]) -> tuple[str, Path]:
        """The place and the path as written of a value; of a default, those that it would have."""
        node = self
        for depth, key in enumerate(path):
            child = node.child(key)
            if child is None:
                return node.place, (*node.path, *path[depth:])
            node = child
        return node.place, node.path


def node_of(value: Any, place: str, path: Path) -> Node:
    """A plain value whose parts were all written in one place."""
    if isinstance(value, dict):
        value = {key: node_of(child, place, (*path, key)) for key, child in value.items()}
    elif isinstance(value, list):
        value = [node_of(child, place, (*path, number)) for number, child in enumerate(value)]
    return Node(value, place, path)


def dotted(path: Sequence[Key]) -> str:
    """`("stages", 1, "lr")` as `stages.1.lr`, the form that `--set` reads."""
    return ".".join(map(str, path))
