"""A file of lines goes on after a crash in the middle of one."""

from __future__ import annotations

from pathlib import Path

from ray_compt.storage import JsonLines, open_place


def test_a_cut_line_is_closed_and_passed_over(tmp_path: Path) -> None:
    place = open_place(tmp_path)
    for number in range(3):
        JsonLines(place, "events.jsonl").append({"number": number})
    file = tmp_path / "events.jsonl"
    file.write_text(file.read_text()[:-5])
    JsonLines(place, "events.jsonl").append({"number": 3})
    assert [entry["number"] for entry in JsonLines(place, "events.jsonl").read()] == [0, 1, 3]
