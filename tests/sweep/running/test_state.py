"""A trial's own file says how far it is; what cannot be understood is run anew."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ray_compt.storage import open_place
from ray_compt.sweep.record import TrialState
from ray_compt.sweep.running.state import FILE, TrialFile, read_trial, write_trial
from tests.s3 import S3


@pytest.mark.parametrize("state", get_args(TrialState))
@pytest.mark.parametrize("where", ["disk", "s3://bucket/sweep/trials/0000"])
def test_a_state_is_read_back(s3: S3, tmp_path: Path, where: str, state: TrialState) -> None:
    folder = open_place(where if "://" in where else tmp_path / where)
    assert read_trial(folder) == TrialFile()
    write_trial(folder, state, "the disk is full\n  mend: make room")
    assert read_trial(folder) == TrialFile(state, "the disk is full\n  mend: make room")


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"state": "odd"}', '{"state": "done", "more": 1}', "[" * 100_000]
)
def test_what_cannot_be_understood_is_pending(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_text(content)
    assert read_trial(open_place(tmp_path)) == TrialFile()
