"""`--set KEY=VALUE`: change a chain file's values from the command line.

A key is a dotted path: `train.lr=3e-4`, `stages.1.epochs=12` (counted from 0), `stages.ViT-S-16.epochs=12`
(by name), `stages.*.epochs=2` (every stage). A value is YAML; a mapping or list replaces the whole.
"""

from __future__ import annotations

from ray_compt.config.describe import describe_value, suggest
from ray_compt.config.resolve import FLAT_KEYS, stage_names, unfold
from ray_compt.config.tree import Key, Node, Path, dotted
from ray_compt.config.yaml_io import read_yaml
from ray_compt.errors import UserError


def override(tree: Node, text: str) -> Node:
    """An unfolded tree with one override on top.

    Whether the key exists is left to validation, which names the override as the place.

    Raises:
        UserError: no `KEY=VALUE`, a value that is no YAML, or a path that leads through a plain value or
            to a stage that is not there.
    """
    place = f"--set {text}"
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise UserError("no KEY=VALUE", where=place, mend="write for example --set train.lr=3e-4")
    node = _value(value, place, tuple(key.split(".")))
    for path in _targets(tree, key, place):
        tree = assign(tree, path, node)
    return unfold(tree)


def assign(tree: Node, path: Path, node: Node) -> Node:
    """A tree with a value at a path, sections on the way made where there are none; errors name the value's place."""
    return _put(tree, path, node, node.place, ())


def _value(text: str, place: str, path: Path) -> Node:
    try:
        node = read_yaml(text, lambda _: place, above=path)
    except UserError as error:
        mend = "quote a text with special characters: --set 'KEY=\"TEXT\"'"
        raise UserError(error.message, where=place, mend=mend) from None
    return node if node is not None else Node(None, place, path)


def _targets(tree: Node, key: str, place: str) -> list[Path]:
    first, _, rest = key.partition(".")
    stages = tree.child("stages")
    if first != "stages" or not rest or stages is None or not isinstance(stages.value, list):
        return [tuple(key.split("."))]
    names = stage_names(stages)
    # A name may hold dots itself, so the longest that fits is taken.
    fitting = [name for name in names if rest == name or rest.startswith(name + ".")]
    if fitting:
        name = max(fitting, key=len)
        indices, rest = [names.index(name)], rest[len(name) + 1 :]
    else:
        which, _, rest = rest.partition(".")
        indices = _indices(which, names, place)
    inner = tuple(rest.split(".")) if rest else ()
    if inner and inner[0] in FLAT_KEYS:
        inner = (FLAT_KEYS[inner[0]], *inner)
    return [("stages", index, *inner) for index in indices]


def _indices(which: str, names: list[str], place: str) -> list[int]:
    if which == "*":
        return list(range(len(names)))
    if which.isdecimal():
        if int(which) < len(names):
            return [int(which)]
        listed = ", ".join(f"{index} {name}" for index, name in enumerate(names))
        raise UserError(f"there is no stage {which}", where=place, mend=f"the stages are {listed}")
    raise UserError(f"there is no stage called {which}", where=place, mend=suggest(which, names))


def _put(node: Node, path: Path, new: Node, place: str, done: Path) -> Node:
    if not path:
        return new
    key, rest = path[0], path[1:]
    if isinstance(node.value, list):
        index = _index(node, key, place, done)
        items = list(node.value)
        items[index] = _put(items[index], rest, new, place, (*done, index))
        return Node(items, node.place, node.path)
    if node.value is None:  # a section that is empty, or not written yet
        node = Node({}, place, done)
    if not node.mapping:
        message = f"{dotted(done)} is {describe_value(node.value)} and has no key {key}"
        raise UserError(message, where=place, mend=f"set {dotted(done)} as a whole")
    child = node.value.get(key) or Node(None, place, (*done, key))
    return Node({**node.value, key: _put(child, rest, new, place, (*done, key))}, node.place, node.path)


def _index(node: Node, key: Key, place: str, done: Path) -> int:
    if (isinstance(key, int) or key.isdecimal()) and int(key) < len(node.value):
        return int(key)
    length = len(node.value)
    message = f"{dotted(done)} is a list of {length} and has no item {key}"
    raise UserError(message, where=place, mend=f"count from 0, or set {dotted(done)} as a whole")
