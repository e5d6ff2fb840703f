"""What programs and people read."""

from __future__ import annotations

import json

from ray_compt.cli import output


def test_json_has_null_for_what_json_lacks(capsys):
    output.print_json({"a": [1.5, float("nan")], "b": {"c": float("inf")}, "é": (1, "x")})
    assert json.loads(capsys.readouterr().out) == {"a": [1.5, None], "b": {"c": None}, "é": [1, "x"]}


def test_a_table_away_from_a_terminal_is_plain_aligned_text(capsys):
    output.print_table("sizes", ["model", "parameters"], [["ViT-T-16", "9 M"], ["S[x]", "31.4 M"]])
    assert capsys.readouterr().out == (
        "sizes\nmodel     parameters\nViT-T-16         9 M\nS[x]          31.4 M\n"
    )


def test_a_table_on_a_terminal_is_richs(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    output.print_table("sizes", ["model"], [["S[red]x[/red]"]])
    printed = capsys.readouterr().out
    assert "S[red]x[/red]" in printed
    assert "─" in printed or "━" in printed
