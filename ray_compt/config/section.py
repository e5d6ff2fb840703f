"""What the sections of `schema.py` are made of: their base, and the errors of rules that no type expresses."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


def broken_rule(message: str, mend: str, *key: str | int) -> PydanticCustomError:
    """The error of a rule that a type cannot express; `key` is the path of the key to blame."""
    return PydanticCustomError("rule", "{message}", {"message": message, "mend": mend, "key": key})


def countable(amount: float) -> float:
    """An amount of CPUs or GPUs as Ray counts them: in steps of 0.0001, and above 1 in whole ones."""
    if 0 < amount < 1e-4 or (amount > 1 and amount != int(amount)):
        raise broken_rule(
            f"Ray cannot count {amount:g} of them", "write a whole number, or a part of 1 from 0.0001"
        )
    return amount


class Section(BaseModel):
    """Base of every section: unknown keys and look-alikes of a type (the text "12" for the number 12,
    `true` for 1) are errors, and values cannot change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, strict=True, allow_inf_nan=False
    )


def require_gaps(templates: list[str]) -> None:
    """Raises a broken rule where a prompt has no place for the class."""
    for template in templates:
        if "{}" not in template:
            raise broken_rule(f"the prompt '{template}' has no place for the class", "write {} in it")
