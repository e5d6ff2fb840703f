"""A teacher's name says what its features are."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.teacher.spec import rows_at_once, weights_digest
from tests.teacher.models import make_teacher


def test_the_same_weights_elsewhere_have_the_same_name(tmp_path: Path) -> None:
    spec = make_teacher(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    moved = dataclasses.replace(
        spec, folder=str(tmp_path / "two"), weights=weights_digest(str(tmp_path / "two"))
    )
    assert moved.name == spec.name


@pytest.mark.parametrize(
    "change",
    [{"weights": "0"}, {"precision": "bf16"}, {"rows": 8}, {"mean": (0.1, 0.1, 0.1)}, {"compile": True}],
)
def test_whatever_changes_features_changes_the_name(tmp_path: Path, change: dict) -> None:
    spec = make_teacher(tmp_path)
    assert dataclasses.replace(spec, **change).name != spec.name


@given(st.integers(1, 5000), st.integers(1, 512))
def test_rows_fill_a_share_without_padding(share: int, most: int) -> None:
    rows = rows_at_once(share, most)
    assert rows <= most and share % rows == 0
    assert not any(share % more == 0 for more in range(rows + 1, min(most, share) + 1))


def test_a_teacher_without_weights_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="weights are missing"):
        weights_digest(str(tmp_path))
    for content in (b"", b"x" * 99, b"\x02" + b"\0" * 7 + b"[]"):
        (tmp_path / "model.safetensors").write_bytes(content)
        with pytest.raises(UserError, match="weights are damaged"):
            weights_digest(str(tmp_path))
