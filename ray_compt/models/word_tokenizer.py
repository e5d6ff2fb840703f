"""open_clip's `SimpleTokenizer` with the same tokens in a sixth of the time.

Its time goes into ftfy, which mends broken Unicode and has nothing to do in plain ASCII, and into encoding the same
words again and again. Captions repeat few words often, so the tokens of each are kept, up to a limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from open_clip.tokenizer import SimpleTokenizer, get_clean_fn

# A natural language's words of some frequency; 100 bytes or so each.
KEPT_WORDS = 1 << 17

_mend_and_lower = get_clean_fn("lower")


def clean_lower(text: str) -> str:
    """open_clip's cleaning "lower": Unicode mended, HTML entities resolved, single spaces, lower case."""
    # Printable ASCII without "&" holds nothing that ftfy or html.unescape would change.
    if text.isascii() and text.isprintable() and "&" not in text:
        return " ".join(text.split()).lower()
    return _mend_and_lower(text)


class WordTokenizer(SimpleTokenizer):
    """A drop-in for `SimpleTokenizer`, whose arguments it takes; tested to give the same tokens."""

    clean_fn: Callable[[str], str]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.clean_fn is _mend_and_lower:
            self.clean_fn = clean_lower
        self._kept: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        for word in self.pat.findall(self.clean_fn(text)):
            tokens += self._kept.get(word) or self._encode_word(word)
        return tokens

    def __call__(self, texts: str | list[str], context_length: int | None = None) -> torch.Tensor:
        length = context_length or self.context_length
        if self.reduction_fn is not None or not length:
            return super().__call__(texts, context_length)
        texts = [texts] if isinstance(texts, str) else texts
        rows = np.zeros((len(texts), length), dtype=np.int64)
        for row, text in zip(rows, texts):
            tokens = [self.sot_token_id, *self.encode(text), self.eot_token_id]
            if len(tokens) > length:
                tokens = [*tokens[: length - 1], self.eot_token_id]
            row[: len(tokens)] = tokens
        return torch.from_numpy(rows)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        spelled = "".join(self.byte_encoder[byte] for byte in word.encode("utf-8"))
        known = spelled in self.cache
        tokens = tuple(self.encoder[part] for part in self.bpe(spelled).split(" "))
        if not known:
            # The parent's own cache of words would grow without end.
            self.cache.pop(spelled, None)
        if len(self._kept) < KEPT_WORDS:
            self._kept[word] = tokens
        return tokens
