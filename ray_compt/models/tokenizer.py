"""The text tower's tokenizer: open_clip's byte-pair encoding, which ships with the package."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_compt.errors import UserError
from ray_compt.models.names import CONTEXT_LENGTH, VOCAB_SIZE

if TYPE_CHECKING:
    import torch


def make_tokenizer(config: dict[str, Any]) -> Callable[[list[str]], torch.Tensor]:
    """The tokenizer of a configuration, the one `open_clip.get_tokenizer("local-dir:EXPORT")` gives.

    Returns:
        A picklable callable: n texts -> int64 [n, context_length], cut to length, padded with 0.

    Raises:
        UserError: the model's tokenizer lives on the Hugging Face hub, or the text tower's vocabulary is
            smaller than the tokenizer's.
    """
    check_tokenizer(config)
    text = config["text_cfg"]
    length = text.get("context_length", CONTEXT_LENGTH)
    return _tokenizer(json.dumps({**(text.get("tokenizer_kwargs") or {}), "context_length": length}))


@functools.lru_cache(maxsize=4)
def _tokenizer(settings: str) -> Callable[[list[str]], torch.Tensor]:
    """Kept, because reading the vocabulary takes a tenth of a second."""
    from ray_compt.models.word_tokenizer import WordTokenizer

    return WordTokenizer(**json.loads(settings))


def check_tokenizer(config: dict[str, Any], where: str | None = None) -> None:
    """Raise the UserError that `make_tokenizer` would, without loading the vocabulary."""
    from open_clip import SimpleTokenizer

    text = config["text_cfg"]
    hub = text.get("hf_tokenizer_name") or text.get("hf_model_name")
    if hub:
        raise UserError(
            f"the tokenizer {hub!r} comes from the Hugging Face hub, which a run does not depend on",
            where=where,
            mend="choose a model with open_clip's own tokenizer, or leave hf_tokenizer_name out",
        )
    kwargs = text.get("tokenizer_kwargs") or {}
    known = inspect.signature(SimpleTokenizer).parameters
    unknown = sorted(set(kwargs) - set(known) | {"context_length"} & set(kwargs))
    if unknown:
        raise UserError(
            f"the tokenizer has no setting {unknown[0]!r}",
            where=where,
            mend="remove it from tokenizer_kwargs",
        )
    vocabulary = text.get("vocab_size", VOCAB_SIZE)
    if vocabulary < VOCAB_SIZE:
        raise UserError(
            f"vocab_size {vocabulary} is smaller than the tokenizer's {VOCAB_SIZE}",
            where=where,
            mend=f"leave vocab_size out, or set it to {VOCAB_SIZE}",
        )


def token_counter(config: dict[str, Any]) -> Callable[[list[str]], list[int]]:
    """How many tokens a configuration's tokenizer makes of texts before they are cut, start and end included.

    Raises:
        UserError: as `make_tokenizer`.
    """
    tokenizer: Any = make_tokenizer(config)
    return lambda texts: [len(tokenizer.encode(text)) + 2 for text in texts]
