"""Types, values and choices in words, for error messages and for the reference."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterable
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_NAMES: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_PLURALS: dict[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}


def describe_field(field: FieldInfo) -> str:
    """What a field takes, with its limits: `a number, above 0 and at most 1, or null`."""
    options = [option for option in _options(field.annotation) if option is not type(None)]
    words = " or ".join(map(_describe, options))
    limits = _limits(field.metadata)
    if limits:
        words += f", {limits}"
    if type(None) in _options(field.annotation):
        words += ", or null" if limits else " or null"
    return words


def describe_value(value: Any) -> str:
    """A plain value as a reader of YAML sees it, shortened."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 40 else value[:37] + '...'}'"
    if isinstance(value, dict):
        return f"a mapping ({', '.join(map(str, value))})" if value else "an empty mapping"
    if isinstance(value, list):
        plain = value and len(value) <= 6 and not any(isinstance(item, list | dict) for item in value)
        return f"the list [{', '.join(map(_short, value))}]" if plain else f"a list of {len(value)}"
    return str(value)


def example(value: Any) -> str:
    """A value as one would write it in YAML on one line."""
    return value if isinstance(value, str) else json.dumps(value)


def suggest(word: str, choices: Iterable[str]) -> str:
    """What to write instead of `word`: the nearest choice, or all of them."""
    choices = list(choices)
    near = difflib.get_close_matches(word, choices, n=1)
    return f"did you mean {near[0]}?" if near else f"use one of {', '.join(choices)}"


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The model of a section's field (or of the items of a list of sections, which may be null instead)."""
    options = [option for option in _options(annotation) if option is not type(None)]
    annotation = options[0] if len(options) == 1 else annotation
    if get_origin(annotation) is list:
        annotation = get_args(annotation)[0]
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _short(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else describe_value(value)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def _describe(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        words = [str(arg) for arg in args]
        return words[0] if len(words) == 1 else f"one of {', '.join(words)}"
    if origin is tuple:
        return f"a list of {len(args)} {_PLURALS[args[0]]}"
    if origin is list and get_origin(args[0]) is Literal:
        return f"a list of {', '.join(get_args(args[0]))}"
    if origin is list:
        return f"a list of {_plural(args[0])}"
    if origin is dict or annotation is dict:
        return "a mapping"
    return _NAMES.get(annotation, "a section of keys")


def _plural(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_plural, args))
    if origin is list:
        return f"lists of {_plural(args[0])}"
    if origin is dict:
        return f"mappings of {_plural(args[0])} to {_plural(args[1])}"
    return _PLURALS.get(annotation, "sections")


def _limits(metadata: list[Any]) -> str:
    words = []
    for limit in metadata:
        if hasattr(limit, "gt"):
            words.append(f"above {limit.gt}")
        if hasattr(limit, "ge"):
            words.append(f"{limit.ge} or more")
        if hasattr(limit, "le"):
            words.append(f"at most {limit.le}")
        if hasattr(limit, "min_length"):
            words.append("not empty")
        if hasattr(limit, "pattern"):
            words.append("made of letters, digits, . _ and -")
        if hasattr(limit, "max_length"):
            words.append(f"at most {limit.max_length} long")
    return " and ".join(words)
