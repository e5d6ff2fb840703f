"""Whether a new start in a sweep's folder is of the same sweep, and what of a sweep file may be published. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ray_compt.config.distributions import Choice, Fixed
from ray_compt.config.traces import NO_TRACE_IN_DATA, NO_TRACE_IN_TRAIN
from ray_compt.config.yaml_io import read_yaml, write_yaml
from ray_compt.report.published import public, without_credentials
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.space import Values

# Keys of a sweep file that may change between two starts: what has ended stays as true as it was.
FREE = ("max_concurrent", "retry_failed", "objective", "search.trials")
# A stage may write a key of `train` without its section.
TRACELESS_ENDS = (*NO_TRACE_IN_TRAIN, *(f"data.{key}" for key in NO_TRACE_IN_DATA))


def changed_sweep(before: str, after: str) -> list[str]:
    """Keys that are different in two texts of sweep files, of those that have a part in trials that there are.

    Credentials in URLs have none.
    """
    old, new = (dict(_leaves(public(_plain(text)))) for text in (before, after))
    return [key for key in _different(old, new) if not _below(key, FREE)]


def changed_chain(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """As `changed_sweep`, of two base chains as plain data, unfolded."""
    old, new = (dict(_leaves(dict(chain))) for chain in (before, after))
    return [key for key in _different(old, new) if not _traceless(key)]


def published(text: str) -> str:
    """A sweep file's text; as plain YAML without credentials where a line of it has some."""
    if all(without_credentials(line) == line for line in text.splitlines()):
        return text
    return write_yaml(public(_plain(text)))


def with_credentials(plan: SweepPlan, values: Mapping[str, Any]) -> Values:
    """Values of the space as the sweep file has them, from those of a record, which is `public`."""
    choices = (
        axis.parameter for axis in plan.axes if isinstance(axis.parameter.distribution, Choice | Fixed)
    )
    known = {parameter.key: parameter.values() for parameter in choices}
    return {
        key: next((own for own in known.get(key, ()) if public(own) == value), value)
        for key, value in values.items()
    }


def _plain(text: str) -> dict[str, Any]:
    tree = read_yaml(text, lambda line: f"line {line}")
    return tree.plain() if tree is not None else {}


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Dotted keys and what they are; lists of mappings are unfolded too, others are values."""
    if isinstance(value, dict) and (value or not path):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            yield from _leaves(item, (*path, str(number)))
    else:
        yield ".".join(path), value


def _different(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    absent = object()
    return [key for key in {**old, **new} if old.get(key, absent) != new.get(key, absent)]


def _below(key: str, sections: tuple[str, ...]) -> bool:
    return any(key == section or key.startswith(f"{section}.") for section in sections)


def _traceless(key: str) -> bool:
    return f".{key}".endswith(tuple(f".{end}" for end in TRACELESS_ENDS)) or "workers" in key.split(".")
