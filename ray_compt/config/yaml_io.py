"""Chain files as text: safe YAML 1.2 in (every value keeps its line), plain YAML out.

YAML 1.2, because in 1.1 `1e-3` is a text and `no` is false. Nothing is constructed but texts, numbers, true,
false, null, lists and mappings; tags and keys written twice are errors, and so are aliases, unless asked for: files of
other programs may have them.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from ray_compt.config.tree import Node, Path
from ray_compt.errors import UserError

Place = Callable[[int], str]

_TAG = "tag:yaml.org,2002:"
# What YAML reads into a text without being asked (dates, `=`, `<<`) stays a text here.
_TEXT = {_TAG + name for name in ("str", "timestamp", "value", "merge")}
# A chain file is a page or two. The parser takes minutes over a megabyte and longer over deep nesting.
LARGEST_TEXT = 200_000
DEEPEST = 50
# Aliases of aliases make a page into as much as one likes.
MOST_NODES = 50_000

_COLLECTIONS = {_TAG + "map", _TAG + "seq"}


def read_yaml(text: str, place: Place, *, above: Path = (), aliases: bool = False) -> Node | None:
    """Read one YAML document; None where it is empty.

    Args:
        text: the document.
        place: names the place of a line, counted from 1.
        above: the path of the document's root, for values that are part of a larger file.
        aliases: take `*name` for what `&name` marks, and `<<: *name` for its keys.

    Raises:
        UserError: malformed YAML, tags, aliases that were not asked for or are too many, keys that are written twice
            or are no texts.
    """
    if len(text) > LARGEST_TEXT:
        raise UserError(
            f"longer than {LARGEST_TEXT:,} characters",
            where=place(1),
            mend="check that this is the file you mean",
        )
    yaml = _yaml()
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if error.context_mark and not text[mark.index :].strip():
            mark = error.context_mark  # what was opened there is never closed
        what = " ".join(filter(None, (error.problem, error.context)))
        mend = "check indentation (spaces, no tabs), colons, brackets and quotes here and in the line above"
        raise UserError(
            f"malformed YAML: {what}", where=place(mark.line + 1 if mark else 1), mend=mend
        ) from None
    except YAMLError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"malformed YAML: {reason}", where=place(1), mend="save it as plain UTF-8 text"
        ) from None
    except _TooDeep as error:
        where = place(error.line)
        raise UserError("nested too deeply", where=where, mend="a chain file has a few levels") from None
    if root is None:
        return None
    return _Reader(yaml, place, aliases).node(root, above, root.start_mark.line)


def write_yaml(value: Any) -> str:
    """Plain data as YAML that `read_yaml` reads back unchanged."""
    yaml = _yaml()
    yaml.Representer = _Representer
    yaml.allow_unicode = True
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Keys in their order and one a line, lists of numbers on one line.

    Not lists of texts: ruamel.yaml writes `[?x]` without the quotes that it needs there.
    """

    def represent_list(self, data: list[Any]) -> SequenceNode:
        flat = not any(isinstance(item, dict | list | str) for item in data)
        return self.represent_sequence(_TAG + "seq", data, flow_style=flat)

    def represent_dict(self, data: dict[str, Any]) -> MappingNode:
        return self.represent_mapping(_TAG + "map", list(data.items()), flow_style=False)


_Representer.add_representer(list, _Representer.represent_list)
_Representer.add_representer(dict, _Representer.represent_dict)


class _TooDeep(Exception):
    def __init__(self, line: int):
        super().__init__(line)
        self.line = line


class _Composer(Composer):
    """Stops at `DEEPEST` levels, before the parser's own recursion and its quadratic search for brackets."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _TooDeep(self.parser.peek_event().start_mark.line + 1)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _Composer
    return yaml


class _Reader:
    def __init__(self, yaml: YAML, place: Place, aliases: bool):
        self._plain: dict[str, Callable[[ScalarNode], Any]] = {
            _TAG + "int": yaml.constructor.construct_yaml_int,
            _TAG + "float": yaml.constructor.construct_yaml_float,
            _TAG + "bool": yaml.constructor.construct_yaml_bool,
            _TAG + "null": yaml.constructor.construct_yaml_null,
        }
        self._place = place
        self._aliases = aliases
        self._seen: set[int] = set()
        self._inside: list[int] = []
        self._count = 0

    def node(self, node: Any, path: Path, line: int) -> Node:
        place = self._place(line + 1)
        if id(node) in self._seen and not self._aliases:
            raise UserError("a YAML alias (*name)", where=place, mend="write the value out")
        self._seen.add(id(node))
        self._count += 1
        if self._count > MOST_NODES or id(node) in self._inside or len(self._inside) > 2 * DEEPEST:
            raise UserError("YAML aliases without end", where=place, mend="write the values out")
        self._inside.append(id(node))
        try:
            return self._one(node, path, place)
        finally:
            self._inside.pop()

    def _one(self, node: Any, path: Path, place: str) -> Node:
        tag = str(node.tag)
        if isinstance(node, MappingNode) and tag in _COLLECTIONS:
            return Node(self._mapping(node, path), place, path)
        if isinstance(node, SequenceNode) and tag in _COLLECTIONS:
            items = [self.node(item, (*path, i), item.start_mark.line) for i, item in enumerate(node.value)]
            return Node(items, place, path)
        if isinstance(node, ScalarNode) and (tag in self._plain or tag in _TEXT):
            return Node(self._scalar(node, tag, place), place, path)
        shown = tag.replace(_TAG, "!!")
        raise UserError(f"the YAML tag {shown}", where=place, mend="remove it; a chain file needs none")

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in node.value:
            line = key.start_mark.line
            if self._aliases and str(key.tag) == _TAG + "merge":
                merged = {**self._merged(value, path, line), **merged}
                continue
            if not isinstance(key, ScalarNode) or str(key.tag) not in _TEXT:
                shown = (
                    key.value if isinstance(key, ScalarNode) and key.value else "a list, mapping or nothing"
                )
                raise UserError(
                    f"{shown} is no key", where=self._place(line + 1), mend="write a name before the colon"
                )
            if key.value in entries:
                first = entries[key.value].place
                raise UserError(
                    f"the key {key.value} is written twice, first at {first}",
                    where=self._place(line + 1),
                    mend="keep one of them",
                )
            entries[key.value] = self.node(value, (*path, key.value), line)
        return {**merged, **entries}

    def _merged(self, node: Any, path: Path, line: int) -> dict[str, Node]:
        """What `<<:` brings into a mapping: a mapping's keys, or those of several, of which the first counts."""
        parts = reversed(node.value) if isinstance(node, SequenceNode) else [node]
        keys: dict[str, Node] = {}
        for part in parts:
            found = self.node(part, path, line)
            if not found.mapping:
                raise UserError("<< takes no mapping", where=found.place, mend="write << before a mapping")
            keys |= found.value
        return keys

    def _scalar(self, node: ScalarNode, tag: str, place: str) -> Any:
        if tag in _TEXT:
            return node.value
        try:
            return self._plain[tag](node)
        except (ValueError, KeyError):
            shown = node.value if len(node.value) < 40 else f"{node.value[:36]} ..."
            raise UserError(
                f"{shown} cannot be read as a number", where=place, mend="write it plainly"
            ) from None
