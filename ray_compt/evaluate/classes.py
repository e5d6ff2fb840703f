"""Which class of the data is which name in prompts: by mapping, by name, by number, or in the order of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ray_compt.config.suite_file import IMAGENET
from ray_compt.config.suite_keys import ClassNames
from ray_compt.errors import UserError

_NAMED_IN_ERRORS = 3


@dataclass(frozen=True)
class Classes:
    """The classes that a picture may be sorted into.

    Attributes:
        names: of each, for prompts; two may have the same.
        places: the data's name of a class -> its number in `names`.
    """

    names: tuple[str, ...]
    places: Mapping[str, int]


def find_classes(given: ClassNames | None, labels: Sequence[str], where: str) -> Classes:
    """Match the classes that the data has with the names that prompts use.

    1. No names: as the data calls them.
    2. A mapping: by the data's own name; names that the data does not have are wrong answers that a picture may get.
    3. A list in which every class of the data stands, once: by name, likewise.
    4. A list, and data whose classes are whole numbers: by number, from 0.
    5. A list as long as the data has classes: in the order of the data.

    Args:
        given: names, a mapping, or `imagenet`.
        labels: the classes that occur, in the order of the data.
        where: the task, for messages.

    Raises:
        UserError: fewer than two classes, or names that do not fit the data.
    """
    if not labels:
        raise UserError(
            "no picture of its data has a class", where=where, mend="name the JSON field with class_field"
        )
    if given is None:
        found = Classes(tuple(labels), {label: number for number, label in enumerate(labels)})
    elif isinstance(given, dict):
        found = Classes(tuple(given.values()), {label: number for number, label in enumerate(given)})
    else:
        names = imagenet_names() if given == IMAGENET else list(given)
        found = Classes(tuple(names), _places(names, labels, where))
    missing = [label for label in labels if label not in found.places]
    if missing:
        raise UserError(
            f"{len(missing)} of the data's {len(labels)} classes have no name: "
            + ", ".join(missing[:_NAMED_IN_ERRORS])
            + ", ..." * (len(missing) > _NAMED_IN_ERRORS),
            where=where,
            mend="add them to classes",
        )
    if len(found.names) < 2:
        raise UserError(
            f"its data have one class ({found.names[0]}), which decides nothing",
            where=where,
            mend="name more classes for the picture to be sorted into, or remove the task",
        )
    return found


def _places(names: Sequence[str], labels: Sequence[str], where: str) -> dict[str, int]:
    if len(set(names)) == len(names) and set(labels) <= set(names):
        return {name: number for number, name in enumerate(names)}
    if all(label.isascii() and label.isdigit() and int(label) < len(names) for label in labels):
        return {label: int(label) for label in labels}
    if len(labels) == len(names):
        return {label: number for number, label in enumerate(labels)}
    raise UserError(
        f"{len(names)} names do not fit the data's {len(labels)} classes ({', '.join(labels[:_NAMED_IN_ERRORS])}, ...)",
        where=where,
        mend="write a mapping from the data's classes to names",
    )


def imagenet_names() -> list[str]:
    """open_clip's names of ImageNet's 1,000 classes, in their order; two of them occur twice."""
    from open_clip import IMAGENET_CLASSNAMES

    return list(IMAGENET_CLASSNAMES)


def imagenet_templates() -> list[str]:
    """OpenAI's 80 prompts for ImageNet, as open_clip has them."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return [template("{}") for template in OPENAI_IMAGENET_TEMPLATES]
