"""From what the user writes under data.train and data.val to a list of shards.

To accept another way of writing a set of shards, add it to `find_shards`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from ray_compt.data.filesystem import Location, glob_files, locate, locate_all
from ray_compt.errors import UserError

MAX_EXPANSION = 1_000_000
_NUMBERS = re.compile(r"(-?\d+)\.\.(-?\d+)(?:\.\.(\d+))?")
_NAMED_IN_ERRORS = 3


def find_shards(spec: str | Sequence[str]) -> list[Location]:
    """Every shard that `spec` names, in the order written, globs and folders sorted, doubles dropped.

    Args:
        spec: a path or URL, a brace pattern ({00000..00012}, {a,b}), a glob, a folder (stands for the *.tar in
            it), or a list of these.

    Returns:
        One `Location` a shard, with its size and stamp.

    Raises:
        UserError: a pattern that finds nothing, with its mend; missing members of a brace pattern by name.
    """
    patterns = [spec] if isinstance(spec, str) else list(spec)
    if not patterns:
        raise UserError("no shards given", where="data", mend="name at least one shard or pattern")
    found = [location for pattern in patterns for location in _find(pattern)]
    return list({location.url: location for location in found}.values())


def expand_braces(pattern: str) -> list[str]:
    """Brace expansion as in bash: number ranges keep their zero padding, groups nest.

    Raises:
        UserError: more than a million results.
    """
    try:
        expanded = list(itertools.islice(_expand(pattern), MAX_EXPANSION + 1))
    except RecursionError:
        raise UserError(
            f"too many braces in a pattern of {len(pattern):,} characters",
            where="data",
            mend="write a shorter one",
        ) from None
    if len(expanded) > MAX_EXPANSION:
        raise UserError(
            f"pattern {pattern!r} stands for more than {MAX_EXPANSION:,} shards",
            where="data",
            mend="check the numbers in braces",
        )
    return expanded


def _find(pattern: str) -> list[Location]:
    members = expand_braces(pattern)
    if len(members) > 1:
        return _find_all(pattern, members)
    location = locate(members[0])
    if location.is_folder:
        return _find_glob(pattern, members[0].rstrip("/") + "/*.tar")
    if location.exists:
        return [location]
    if any(sign in members[0] for sign in "*?["):
        return _find_glob(pattern, members[0])
    raise UserError(
        f"no shard at {pattern!r}",
        where="data",
        mend="check the path; brace patterns and globs such as *.tar work too",
    )


def _find_all(pattern: str, members: list[str]) -> list[Location]:
    if any(sign in member for member in members for sign in "*?["):
        return [location for member in members for location in _find(member)]
    locations = locate_all(members)
    missing = [member for member, place in zip(members, locations) if not place.exists or place.is_folder]
    if len(missing) == len(members):
        raise UserError(
            f"none of the {len(members)} shards of {pattern!r} exists, the first being {members[0]!r}",
            where="data",
            mend="check the path and the number of digits in braces",
        )
    if missing:
        raise UserError(
            f"{len(missing)} of the {len(members)} shards of {pattern!r} are missing: {_some(missing)}",
            where="data",
            mend="fetch them, or change the pattern so that it names only shards that exist",
        )
    return locations


def _find_glob(pattern: str, glob: str) -> list[Location]:
    found = glob_files(glob)
    if not found:
        raise UserError(
            f"no shard matches {pattern!r}", where="data", mend="check the folder and the file endings"
        )
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NAMED_IN_ERRORS])
    return shown if len(names) <= _NAMED_IN_ERRORS else f"{shown} and {len(names) - _NAMED_IN_ERRORS} more"


def _expand(pattern: str) -> Iterator[str]:
    group = _first_group(pattern)
    if group is None:
        yield pattern
        return
    start, end, choices = group
    head = pattern[:start]
    # The tail's expansions are made anew for every choice: a list of them could be as long as the whole.
    for choice in choices:
        for tail in _expand(pattern[end:]):
            yield head + choice + tail


def _first_group(pattern: str) -> tuple[int, int, Iterable[str]] | None:
    """Start, end and choices of the first brace group that means something; others stay as written."""
    for start in (i for i, sign in enumerate(pattern) if sign == "{"):
        parts, end = _split_group(pattern, start)
        if end is None:
            continue
        numbers = _NUMBERS.fullmatch(pattern[start + 1 : end - 1])
        if numbers:
            return start, end, _number_range(*numbers.groups())
        if len(parts) > 1:
            return start, end, itertools.chain.from_iterable(_expand(part) for part in parts)
    return None


def _split_group(pattern: str, start: int) -> tuple[list[str], int | None]:
    """Comma-separated parts of the group that opens at `start`, and the index after its closing brace."""
    depth, parts, begin = 0, [], start + 1
    for i in range(start, len(pattern)):
        sign = pattern[i]
        if sign == "{":
            depth += 1
        elif sign == "," and depth == 1:
            parts.append(pattern[begin:i])
            begin = i + 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                return [*parts, pattern[begin:i]], i + 1
    return [], None


def _number_range(first: str, last: str, step: str | None) -> Iterator[str]:
    padded = any(len(number.lstrip("-")) > 1 and number.lstrip("-")[0] == "0" for number in (first, last))
    width = max(len(first), len(last)) if padded else 0
    low, high, stride = int(first), int(last), int(step or 1) or 1
    values = range(low, high + 1, stride) if low <= high else range(low, high - 1, -stride)
    return (f"{value:0{width}d}" if width else str(value) for value in values)
