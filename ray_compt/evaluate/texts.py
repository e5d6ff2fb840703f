"""Texts on their way to a model: captions and their pictures, prompts and their classes, and tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ray_compt.errors import UserError

Tokenizer = Callable[[list[str]], Tensor]


def tokenise(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Tokens int64 [len(texts), L].

    Raises:
        UserError: texts differ, and all get the same tokens.
    """
    tokens = tokenizer(list(texts))
    if len(set(texts)) > 1 and bool((tokens == tokens[0]).all()):
        raise UserError(
            f"the model's tokenizer gives all of {len(set(texts))} different texts the same {tokens.shape[1]} tokens, "
            f"{shortened(texts[0])!r} among them",
            mend="give texts in a script that the tokenizer knows, short enough to differ within the model's context",
        )
    return tokens


def check_templates(templates: Sequence[str], where: str) -> list[str]:
    """The templates. Raises UserError: one has no place for the class."""
    for template in templates:
        if "{}" not in template:
            raise UserError(
                f"the class template {template!r} has no {{}} for the class name",
                where=where,
                mend='write it like "a photo of a {}."',
            )
    return list(templates)


def prompts_of(names: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Every template with every name, the templates of one class together."""
    # Not str.format, which would stumble over other braces in a prompt.
    return [template.replace("{}", name) for name in names for template in templates]


def class_features(features: Tensor, classes: int) -> Tensor:
    """Unit features [C, E] of classes: the normalised mean of their prompts' unit features [C * T, E].

    Radford et al., arXiv 2103.00020, section 3.1.4.
    """
    mean = features.unflatten(0, (classes, -1)).mean(dim=1)
    return mean / mean.norm(dim=1, keepdim=True)


def caption_pairs(captions: Sequence[Sequence[str]], most: int | None) -> tuple[list[str], Tensor]:
    """The distinct captions in order of first appearance, and which belongs to which picture.

    Args:
        captions: of each picture.
        most: captions a picture that take part, the first ones; None: all.

    Returns:
        Texts, and pairs [M, 2] int64 (picture, text); a caption that a picture carries twice is one pair.
    """
    numbers: dict[str, int] = {}
    pairs = [
        (picture, numbers.setdefault(caption, len(numbers)))
        for picture, own in enumerate(captions)
        for caption in dict.fromkeys(own[:most])
    ]
    return list(numbers), torch.tensor(pairs)


def shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
