from __future__ import annotations

from collections import Counter

import pytest

from ray_compt.data.captions import draw_captions, find_captions, find_label, parse_description

CAPTIONS = [f"c{i}" for i in range(6)]


@pytest.mark.parametrize(
    "text,description,expected",
    [
        (b"raw \n", {}, ["raw"]),
        (None, {"caption": "raw", "captions": ["raw", "long"]}, ["raw", "long"]),
        (b"raw", {"captions": ["a", "b", "a"]}, ["raw", "a", "b"]),
        (None, {"captions": ["a", "b"]}, ["a", "b"]),
        (None, {"captions": "only one"}, ["only one"]),
        (b"raw", {"captions": [None, 3, " ", "a"], "caption": 7}, ["raw", "a"]),
        (b"  ", {"captions": []}, []),
        (None, {}, []),
        (b"caf\xff", {}, ["caf\ufffd"]),
        (None, {"caption": "half \ud800"}, ["half ?"]),
    ],
)
def test_captions_are_found_raw_one_first(text, description, expected):
    assert find_captions(text, description, "captions") == expected


def test_another_field_may_hold_the_captions():
    assert find_captions(None, {"long": ["x"], "captions": ["y"]}, "long") == ["x"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_description_that_cannot_be_read_is_empty(content):
    assert parse_description(content) == {}


def test_labels_are_words_or_numbers():
    assert find_label({"category": " dog "}, "category") == "dog"
    assert find_label({"category": 7}, "category") == "7"
    for description in ({"category": True}, {"category": None}, {"category": ["dog"]}, {}):
        assert find_label(description, "category") is None
    assert find_label({"category": "dog"}, None) is None


def test_one_caption_is_drawn_evenly_from_all():
    drawn = Counter(draw_captions(CAPTIONS, 1, 0, epoch, "key")[0] for epoch in range(1200))
    assert set(drawn) == set(CAPTIONS)
    assert max(drawn.values()) < 2 * min(drawn.values())


@pytest.mark.parametrize("count", range(2, 7))
def test_several_captions_hold_the_raw_one_and_no_doubles(count):
    seen = set()
    for epoch in range(40):
        drawn = draw_captions(CAPTIONS, count, 0, epoch, "key")
        assert drawn[0] == "c0"
        assert len(set(drawn)) == count
        seen.add(tuple(drawn))
    assert len(seen) > 4


def test_too_few_captions_are_repeated_evenly():
    drawn = draw_captions(["raw", "a", "b"], 6, 0, 0, "key")
    assert drawn[0] == "raw"
    assert sorted(Counter(drawn[1:]).values()) == [2, 3]
    assert draw_captions(["raw"], 3, 0, 0, "key") == ["raw"] * 3


def test_the_draw_depends_on_seed_epoch_and_key_only():
    draws = {
        tuple(draw_captions(CAPTIONS, 6, *parts))
        for parts in [(0, 0, "a"), (1, 0, "a"), (0, 1, "a"), (0, 0, "b")]
    }
    assert len(draws) == 4
    assert draw_captions(CAPTIONS, 6, 0, 0, "a") == draw_captions(CAPTIONS, 6, 0, 0, "a")
