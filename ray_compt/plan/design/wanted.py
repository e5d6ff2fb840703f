"""What people write for sizes, budgets and targets, read."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from ray_compt.errors import UserError
from ray_compt.plan.design.observations import Finished, Measured
from ray_compt.plan.design.predict import epoch_macs
from ray_compt.plan.table import PREFIXES

_COUNT = re.compile(rf"(?P<number>[\d.]+(e[+-]?\d+)?)\s*(?P<prefix>[{''.join(PREFIXES)}]?)", re.IGNORECASE)
_SHARE = re.compile(r"(?P<number>[\d.]+(e[+-]?\d+)?)\s*%", re.IGNORECASE)


def read_sizes(text: str, finished: Sequence[Finished], option: str = "--sizes") -> dict[str, str]:
    """Models, and what the user calls each: its name, its stage's, or what stands between dashes of its name.

    Args:
        text: names with commas between them.
        finished: trainings whose models may be meant.

    Raises:
        UserError: a name that none, or several, of the models have.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise UserError("no size", where=option, mend=_those_there(finished))
    return {_find(word, finished, option): word for word in words}


def read_budget(text: str, measured: Measured, largest: str) -> float:
    """MACs of `5e12`, `5T` or `50%`, the last of the largest model alone at its most measured epochs.

    Raises:
        UserError: neither, or a share of what was not measured.
    """
    share, count = _SHARE.fullmatch(text.strip()), _COUNT.fullmatch(text.strip())
    amount = _number((share or count or {"number": ""})["number"])
    if not math.isfinite(amount) or amount <= 0:
        raise UserError(
            f"{text} is no budget", where="--budget", mend="give MACs as 5e12 or 5T, or a share as 50%"
        )
    if share:
        return amount / 100 * _alone_macs(measured, largest)
    assert count is not None
    return amount * 1000.0 ** _power(count["prefix"])


def read_target(text: str) -> float:
    """A metric from `0.63` or `63%`. Raises UserError: it is no fraction between 0 and 1."""
    share = _SHARE.fullmatch(text.strip())
    value = _number(share["number"]) / 100 if share else _number(text.strip())
    if not 0 < value < 1:
        raise UserError(
            f"{text} is no metric between 0 and 1", where="--target", mend="write it as 0.63 or 63%"
        )
    return value


def _find(word: str, finished: Sequence[Finished], option: str) -> str:
    """The one model of a name. A whole name goes before a part of one."""
    models = dict.fromkeys(one.size for one in finished)
    whole = {one.size for one in finished if word in (one.size, one.name)}
    found = sorted(whole or {model for model in models if word in model.split("-")})
    if len(found) == 1:
        return found[0]
    cause = f"{word} may be {' or '.join(found)}" if found else f"no finished stage is of size {word}"
    raise UserError(cause, where=option, mend=_those_there(finished))


def _alone_macs(measured: Measured, size: str) -> float:
    epochs = [one.path[-1].epochs for one in measured.alone if one.path[-1].size == size]
    if not epochs:
        raise UserError(
            f"a share of {size} alone, which was not trained alone",
            where="--budget",
            mend="give MACs (5e12, 5T), or add a run of it, as `compt train --individual` makes",
        )
    return max(epochs) * float(epoch_macs(measured, [size])[0])


def _power(prefix: str) -> int:
    """Of 1000: m is no milli, and K is a kilo."""
    return [one.lower() for one in PREFIXES].index(prefix.lower())


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _those_there(finished: Iterable[Finished]) -> str:
    return f"give some of {', '.join(sorted({one.size for one in finished}))}"
