"""Paths in a chain file that only mean something on the machine where it was written. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from ray_compt.config.tree import Node, dotted
from ray_compt.errors import UserError

# What names data in another way than by shards; a path comes after the last of these, if at all.
_WORDS = ("builtin:",)
_BEFORE_PATH = ("folder:", "root=")


def check_places(tree: Node) -> None:
    """Refuse relative paths of data, caches and teachers: on a cluster they would start from another folder.

    Args:
        tree: a chain file's values, as `LoadedChain.tree` or `LoadedSweep.chain_tree`.

    Raises:
        UserError: with the place of the first one.
    """
    for node in _places(tree):
        text = node.value
        if isinstance(text, str) and _is_relative(text):
            raise UserError(
                f"{dotted(node.path)}: the path {text} is relative, and the job starts in another folder",
                where=node.place,
                mend="write a path that begins with / and is the same on all nodes, or a URL",
            )


def _places(tree: Node) -> Iterator[Node]:
    for split in ("train", "val"):
        node = tree.find(("data", split))
        if node is not None:
            yield from node.children() if isinstance(node.value, list) else [node]
    stages = tree.find(("stages",))
    sections = [tree, *(stages.children() if stages else ())]
    names = {name.value for section in sections if (name := section.child("name"))}
    for section in sections:
        cache = section.find(("teacher", "cache"))
        if cache is not None:
            yield cache
        named = section.find(("transfer", "distill", "teachers"))
        for teacher in named.children() if named is not None else ():
            model = teacher.child("model")
            # A word is a stage's name; only what looks like a path is one.
            if model is not None and model.value not in names and "/" in str(model.value):
                yield model


def _is_relative(text: str) -> bool:
    if "://" in text or text.startswith(_WORDS):
        return False
    for prefix in _BEFORE_PATH:
        text = text.rpartition(prefix)[2]
    return not PurePath(text).is_absolute()
