"""YAML of other programs: aliases and merged keys, where they are asked for."""

from __future__ import annotations

import pytest

from ray_compt.config.yaml_io import read_yaml
from ray_compt.errors import UserError


def read(text):
    return read_yaml(text, lambda line: f"line {line}", aliases=True)


def test_an_alias_is_what_it_names():
    assert read("a: &x {b: [1, 2]}\nc: *x\n").plain() == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


@pytest.mark.parametrize(
    "text, expected",
    [
        ("b: {<<: *x, q: 3}", {"p": 1, "q": 3}),
        ("b: {q: 3, <<: *x}", {"p": 1, "q": 3}),
        ("b: {<<: [*x, *y], r: 9}", {"p": 1, "q": 2, "s": 5, "r": 9}),
    ],
)
def test_merged_keys_give_way_to_written_ones_and_earlier_ones_win(text, expected):
    found = read(f"x: &x {{p: 1, q: 2}}\ny: &y {{p: 4, s: 5}}\n{text}\n").plain()
    assert found["b"] == expected


def test_a_merged_value_keeps_the_line_where_it_was_written():
    tree = read("a: &x\n  p: 1\nb:\n  <<: *x\n  q: 2\n")
    assert tree.find(["b", "p"]).place == "line 2"
    assert tree.find(["b", "q"]).place == "line 5"


def test_without_being_asked_for_an_alias_is_refused():
    with pytest.raises(UserError, match="a YAML alias"):
        read_yaml("a: &x 1\nb: *x\n", str)


@pytest.mark.parametrize(
    "text, says",
    [
        ("a: &x [*x]\n", "without end"),
        (
            "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
            + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)),
            "without end",
        ),
        ("a: &x 1\nb: {<<: *x}\n", "<< takes no mapping"),
        ("a: *nowhere\n", "malformed YAML"),
    ],
)
def test_what_has_no_end_or_no_meaning_is_refused(text, says):
    with pytest.raises(UserError, match=says):
        read(text)
