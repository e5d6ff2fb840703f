"""A file of lines goes on after a crash in the middle of one."""

from __future__ import annotations

import io
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.storage import JsonLines, lines, lines_from_end, open_place


def test_a_cut_line_is_closed_and_passed_over(tmp_path: Path) -> None:
    place = open_place(tmp_path)
    for number in range(3):
        JsonLines(place, "events.jsonl").append({"number": number})
    file = tmp_path / "events.jsonl"
    file.write_text(file.read_text()[:-5])
    JsonLines(place, "events.jsonl").append({"number": 3})
    assert [entry["number"] for entry in JsonLines(place, "events.jsonl").read()] == [0, 1, 3]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 200), max_size=40), st.booleans(), st.integers(1, 300))
def test_from_the_end_come_the_same_lines(lengths: list[int], cut: bool, block: int) -> None:
    content = b"".join(bytes([97 + n % 26]) * length + b"\n" for n, length in enumerate(lengths))
    content = content[:-1] if cut else content
    with mock.patch.object(lines, "_BLOCK", block):
        found = list(lines_from_end(io.BytesIO(content)))
    assert [line for _, line in reversed(found)] == content.splitlines(keepends=True)
    assert all(content[start : start + len(line)] == line for start, line in found)


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"a line\n" * 1_000_000)
    with file.open("rb") as stream:
        assert next(lines_from_end(stream)) == (6_999_993, b"a line\n")
        assert stream.tell() > 6_000_000
