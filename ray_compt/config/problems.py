"""Pydantic's errors rewritten for people: the place in the file, the key, what is wrong, what to write.

Written for the chain file; `root` makes the same of any other file whose keys are a `Section`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ray_compt.config.describe import describe_field, describe_value, example, section_of, suggest
from ray_compt.config.resolve import CHAIN_KEYS, FLAT_KEYS, SECTIONS, STAGE_KEYS
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.config.tree import Key, Node, Path, dotted
from ray_compt.errors import UserError

# What an item of a list of sections has, with an example.
_ITEMS: dict[Key, tuple[str, str]] = {
    "stages": ("model and epochs", "{model: ViT-S-16, epochs: 24}"),
    "teachers": ("model and weight", "{model: ViT-S-16, weight: 1.0}"),
    "tasks": ("name, kind and data", "{name: digits, kind: zero_shot, data: builtin:digits/val}"),
}


def sections(root: type[BaseModel] = Chain) -> dict[str, type[BaseModel]]:
    """Every section that a file may have, by its path: data, data.augment, train, ..."""
    found: dict[str, type[BaseModel]] = {}

    def walk(model: type[BaseModel], above: tuple[str, ...]) -> None:
        for key, field in model.model_fields.items():
            inner = section_of(field.annotation)
            if inner is not None and inner is not StageConfig:
                found[dotted((*above, key))] = inner
                walk(inner, (*above, key))

    walk(root, ())
    if root is Chain:
        walk(StageConfig, ())
    return found


def problems_of(error: ValidationError, tree: Node, root: type[BaseModel] = Chain) -> list[UserError]:
    """One problem for each wrong key of a tree that was validated as a `root`.

    Each branch of a union reports, and a section that stages share is wrong in each of them: both are one
    problem here, at the deepest place that any names.
    """
    found: dict[str, UserError] = {}
    for detail in error.errors(include_url=False, include_input=False):
        target = _target(detail["loc"], root)
        problem = _explain(detail["type"], detail["loc"], detail.get("ctx", {}), target, tree)
        known = found.get(problem.message)
        if known is None or known.where == tree.nearest(target.path).place:
            found[problem.message] = problem
    return list(found.values())


def unite(problems: Iterable[UserError], where: str) -> UserError:
    """Several problems of one file as one error, in the order of its lines."""
    problems = sorted(problems, key=_line)
    if len(problems) == 1:
        return problems[0]
    lines = [f"  {line}" for problem in problems for line in str(problem).splitlines()]
    return UserError("\n".join([f"{len(problems)} problems", *lines]), where=where)


def _line(problem: UserError) -> int:
    line = (problem.where or "").rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


@dataclass(frozen=True)
class _Target:
    """The key that an error is about: its file, its section, its field (None: no such key) and its path."""

    root: type[BaseModel]
    section: type[BaseModel]
    field: FieldInfo | None
    path: Path


def _target(location: Path, root: type[BaseModel]) -> _Target:
    section = root
    target = _Target(root, section, None, ())
    for depth, key in enumerate(location):
        if isinstance(key, int):  # an item of a list of sections
            target = _Target(root, target.section, target.field, location[: depth + 1])
            continue
        field = section.model_fields.get(key)
        target = _Target(root, section, field, location[: depth + 1])
        inner = section_of(field.annotation) if field else None
        if inner is None:
            break
        section = inner
    return target


def _explain(kind: str, location: Path, context: Mapping[str, Any], target: _Target, tree: Node) -> UserError:
    if kind == "rule":
        place, path = tree.locate((*location, *context["key"]))
        return UserError(f"{dotted(path)}: {context['message']}", where=place, mend=context["mend"])
    node = tree.nearest(target.path)
    if target.field is None:
        key = str(target.path[-1])
        return UserError(f"{dotted(node.path)}: unknown key", where=node.place, mend=_home(key, target))
    expected = describe_field(target.field)
    if kind == "missing" and location == target.path:
        key = str(target.path[-1])
        above = tree.nearest(target.path[:-1])
        message = f"{dotted((*above.path, key))}: missing"
        return UserError(message, where=above.place, mend=f"add {key}: {expected}")
    if isinstance(target.path[-1], int):
        expected = f"a section with {_ITEMS[target.path[-2]][0]}"
    message = f"{dotted(node.path)}: expected {expected}, found {describe_value(node.plain())}"
    return UserError(message, where=tree.nearest(location).place, mend=_write(target, node))


def _home(key: str, target: _Target) -> str:
    """Where an unknown key belongs, or what was meant."""
    section, root = target.section, target.root
    homes = [path for path, model in sections(root).items() if key in model.model_fields]
    if section is not root and key in ("name", "seed"):
        homes.append("the file's top level")
    elif root is Chain and section is not StageConfig and key in ("model", "epochs"):
        homes.append("a stage")
    if homes:
        shared = [f"{home} (also inside the stage)" if home in SECTIONS else home for home in homes]
        return f"write it in {' or '.join(shared if section is StageConfig else homes)}"
    if section is Chain:
        return suggest(key, CHAIN_KEYS)
    if section is StageConfig:
        return suggest(key, (*STAGE_KEYS, *FLAT_KEYS))
    return suggest(key, section.model_fields)


def _write(target: _Target, node: Node) -> str:
    key, field = target.path[-1], target.field
    if isinstance(key, int):
        return f"write for example - {_ITEMS[target.path[-2]][1]}"
    assert field is not None
    if isinstance(node.value, str) and _is_number(node.value) and "number" in describe_field(field):
        return f"write {key}: {node.value} without quotes"
    default = field.default
    if default in (None, PydanticUndefined) or isinstance(default, BaseModel):
        return f"write {key}: {describe_field(field)}"
    return f"for example {key}: {example(default)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
