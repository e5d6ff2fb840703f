"""The list of bad samples goes on after a crash in the middle of a line."""

from __future__ import annotations

import json
from pathlib import Path

from ray_compt.chain import bad_samples
from ray_compt.chain.bad_samples import BadSamples
from ray_compt.data import BadSample
from ray_compt.storage import open_place

BAD = [BadSample(f"{number:03d}", "a.tar", "no picture") for number in range(3)]


def test_a_line_that_was_cut_is_dropped_and_written_anew(tmp_path: Path) -> None:
    BadSamples(open_place(tmp_path), BAD[:2])
    file = tmp_path / "bad_samples.jsonl"
    file.write_text(file.read_text()[:-20])
    again = BadSamples(open_place(tmp_path), [])
    assert again.count == 1
    assert not again.add(BAD[0])
    assert again.add(BAD[1]) and again.add(BAD[2])
    assert BadSamples(open_place(tmp_path), []).count == 3
    assert json.loads(file.read_text().splitlines()[-1])["key"] == "002"


def test_the_list_ends(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(bad_samples, "MOST", 2)
    found = BadSamples(open_place(tmp_path), BAD[:2])
    assert not found.add(BAD[2])
    assert found.count == 2
    assert len((tmp_path / "bad_samples.jsonl").read_text().splitlines()) == 2
