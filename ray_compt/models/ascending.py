"""May these models form a chain? Sizes must ascend, and a student and its teachers read the same input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from ray_compt.errors import UserError
from ray_compt.models.build import count_parameters
from ray_compt.models.names import CONTEXT_LENGTH, VOCAB_SIZE
from ray_compt.models.tokenizer import check_tokenizer


def check_ascending(configs: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Check a chain's models, in the order of its stages.

    A teacher sees the very batch that its student trains on, so all models of a chain take the same picture
    size, tokenizer, vocabulary and context length. Whether weights can be grown is another question, which
    growth answers (patch sizes or architectures may differ: then only feature space is used).

    Args:
        configs: open_clip configurations, one a stage.
        names: the stages' models, for messages.

    Raises:
        UserError: a model is not larger than its predecessor, or reads another input.
    """
    for config, name in zip(configs, names):
        check_tokenizer(config, where=f"model {name}")
    stages = list(zip(names, configs, map(count_parameters, configs)))
    for (name, config, size), (next_name, next_config, next_size) in pairwise(stages):
        if next_size <= size:
            comparison = "smaller than" if next_size < size else "no larger than"
            raise UserError(
                f"{next_name} ({next_size:,} parameters) is {comparison} its predecessor {name} ({size:,})",
                where=f"model {next_name}",
                mend="order the stages from the smallest model to the largest",
            )
        _check_same_input(name, config, next_name, next_config)


def check_teacher(config: dict[str, Any], name: str, student: dict[str, Any], student_name: str) -> None:
    """Check that a model can teach another: from the very pictures and tokens that the student trains on.

    Raises:
        UserError: it reads another picture size, context length, vocabulary or tokenizer; without a place.
    """
    check_tokenizer(config)
    for what, value, theirs in _differing_input(student, config):
        raise UserError(
            f"{what} of the teacher {name} is {theirs}, of its student {student_name} {value}",
            mend=f"choose a teacher with the student's {what}, or give the chain the teacher's",
        )


def _check_same_input(name: str, config: dict[str, Any], next_name: str, next_config: dict[str, Any]) -> None:
    for what, value, theirs in _differing_input(next_config, config):
        raise UserError(
            f"{what} of {next_name} is {value}, of its predecessor {name} {theirs}",
            where=f"model {next_name}",
            mend=f"give all models of the chain the same {what}",
        )


def _differing_input(mine: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What two models read differently: its name, mine and the other's."""
    theirs = _inputs(other)
    for what, value in _inputs(mine).items():
        if value != theirs[what]:
            yield what, value, theirs[what]


def _inputs(config: dict[str, Any]) -> dict[str, Any]:
    vision, text = config["vision_cfg"], config["text_cfg"]
    return {
        "image_size": vision.get("image_size", 224),
        "context_length": text.get("context_length", CONTEXT_LENGTH),
        "vocab_size": text.get("vocab_size", VOCAB_SIZE),
        "tokenizer_kwargs": text.get("tokenizer_kwargs") or {},
    }
