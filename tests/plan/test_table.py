from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.plan import HEADER, format_count, plan_chain, rows, summary

from .conftest import CC3M


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1.00 k"),
        (1234, "1.23 k"),
        (99_949, "99.9 k"),
        (99_950, "100 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (61_500_000, "61.5 M"),
        (6.0e18, "6.00 E"),
    ],
)
def test_counts_have_three_digits(value, text):
    assert format_count(value) == text


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 10**25))
def test_a_count_is_read_back_within_half_a_percent(value):
    number, _, prefix = format_count(value).partition(" ")
    assert len(number) <= 4
    assert float(number) * 1000 ** ["", *"kMGTPEZY"].index(prefix) == pytest.approx(value, rel=0.0051)


def test_rows_are_as_wide_as_the_header(vit_4):
    table = rows(plan_chain(vit_4, CC3M))
    assert [len(row) for row in table] == [len(HEADER)] * 4
    cells = dict(zip(HEADER, table[-1]))
    assert cells["model"] == "ViT-L-16"
    assert cells["parameters"] == "427 M"
    assert cells["image MACs"] == "61.6 G"
    assert dict(zip(HEADER, table[0]))["teacher MACs"] == "-"


def test_summary_says_the_two_figures(vit_4):
    text = "\n".join(summary(plan_chain(vit_4, CC3M)))
    assert "28% of ViT-L-16 trained alone" in text
    assert "acceleration 5.57x" in text
