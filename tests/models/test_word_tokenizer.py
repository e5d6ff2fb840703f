"""The fast tokenizer gives open_clip's tokens."""

from __future__ import annotations

import pickle
import random

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from open_clip import SimpleTokenizer

from ray_compt.models import word_tokenizer
from ray_compt.models.word_tokenizer import WordTokenizer

PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200)
ANY = st.text(max_size=80)
CLEANINGS = ("lower", "canonicalize", "whitespace")


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[SimpleTokenizer, WordTokenizer]]:
    """Both tokenizers for each way of cleaning."""
    return {
        clean: (
            SimpleTokenizer(context_length=16, clean=clean),
            WordTokenizer(context_length=16, clean=clean),
        )
        for clean in CLEANINGS
    }


@settings(max_examples=300, deadline=None)
@given(text=PLAIN | ANY)
@example("A dog's   ball, 3 m away.  ")
@example("fish &amp; chips &lt;b&gt;")
@example("<start_of_text> we'll they've I'd <end_of_text>")
@example("naïve café “quotes” ﬁne \u200b end\r\nnew\x1b[0m")
@example("schÃ¶n âœ” mojibake")
@example("")
def test_every_text_has_open_clip_s_tokens(
    pairs: dict[str, tuple[SimpleTokenizer, WordTokenizer]], text: str
):
    for theirs, ours in pairs.values():
        # Once new, once from what was kept.
        for _ in range(2):
            assert ours.encode(text) == theirs.encode(text)
            assert torch.equal(ours([text]), theirs([text]))
            assert ours([text]).dtype == torch.int64


def test_long_texts_are_cut_and_several_padded_alike(pairs: dict[str, tuple[SimpleTokenizer, WordTokenizer]]):
    theirs, ours = pairs["lower"]
    texts = ["a", "words " * 40, "a b c d e f g h i j k l m n", ""]

    assert torch.equal(ours(texts), theirs(texts))
    assert torch.equal(ours(texts, 5), theirs(texts, 5))
    assert torch.equal(ours("one text"), theirs("one text"))


@pytest.mark.parametrize("mask", ["random", "simple", "shuffle"])
def test_words_dropped_by_chance_are_open_clip_s(mask: str):
    theirs, ours = (kind(context_length=6, reduction_mask=mask) for kind in (SimpleTokenizer, WordTokenizer))
    found = []
    for tokenizer in (theirs, ours):
        torch.manual_seed(1)
        random.seed(1)
        found.append(tokenizer(["one two three four five six seven eight nine ten"] * 3))

    assert torch.equal(*found)


def test_what_it_keeps_has_an_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(word_tokenizer, "KEPT_WORDS", 3)
    tokenizer = WordTokenizer()
    held = len(tokenizer.cache)
    texts = [f"word{chr(97 + i)}x another{chr(97 + i)}y" for i in range(20)]

    assert torch.equal(tokenizer(texts), SimpleTokenizer()(texts))
    assert len(tokenizer._kept) == 3
    assert len(tokenizer.cache) == held


def test_it_travels_to_reading_tasks(pairs: dict[str, tuple[SimpleTokenizer, WordTokenizer]]):
    ours = pairs["lower"][1]

    assert torch.equal(pickle.loads(pickle.dumps(ours))(["a dog"]), ours(["a dog"]))  # noqa: S301
