"""Checkpoints: what is written is read back, and what is damaged or foreign is refused."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ray_compt.errors import UserError
from ray_compt.storage import open_place
from ray_compt.train.checkpoint import (
    DamagedCheckpoint,
    Progress,
    find_newest,
    read_checkpoint,
    read_final_optimizer,
    read_newest,
    tidy,
    write_checkpoint,
)
from ray_compt.train.state import EngineState
from tests.harm import cut, flip

STATE = EngineState(
    weights={"clip.a": torch.randn(3, 2), "clip.logit_scale": torch.ones(1)},
    moments={
        "exp_avg": {"clip.a": torch.randn(3, 2), "clip.logit_scale": torch.zeros(1)},
        "exp_avg_sq": {"clip.a": torch.rand(3, 2), "clip.logit_scale": torch.ones(1)},
    },
    updates=7,
    scaler={"cur_scale": 1024.0},
)


def _write(folder: Path, step: int = 7) -> Path:
    folder.mkdir(parents=True)
    write_checkpoint(folder, STATE, Progress(step=step, seconds=1.5, samples=70, bad_samples=2), "owner")
    return folder


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    state, progress = read_checkpoint(open_place(_write(tmp_path / "c")), "owner")
    assert progress == Progress(step=7, seconds=1.5, samples=70, bad_samples=2)
    assert (state.updates, state.scaler) == (7, {"cur_scale": 1024.0})
    pairs = [(state.weights, STATE.weights), *((state.moments[k], STATE.moments[k]) for k in STATE.moments)]
    for ours, theirs in pairs:
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_checkpoint_of_another_stage_is_refused(tmp_path: Path) -> None:
    folder = _write(tmp_path / "c")
    with pytest.raises(UserError, match="another model"):
        read_checkpoint(open_place(folder), "somebody else")


def _quietly(_: DamagedCheckpoint) -> None:
    """Pass it over."""


@pytest.mark.parametrize("name", ["weights.safetensors", "moments.safetensors", "state.json"])
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_the_one_before_a_damaged_checkpoint_is_used(
    tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    for step in (3, 9, 6):
        _write(tmp_path / f"checkpoint_{step}", step)
    harm(tmp_path / "checkpoint_9" / name)
    with pytest.raises(DamagedCheckpoint, match=name):
        read_checkpoint(open_place(tmp_path / "checkpoint_9"), "owner")
    noticed: list[DamagedCheckpoint] = []
    found = find_newest(open_place(tmp_path), "owner", noticed.append)
    assert found is not None
    assert (found[0].name, found[1].step) == ("checkpoint_6", 6)
    assert [error.where for error in noticed] == [str(tmp_path / "checkpoint_9")]
    read = read_newest(open_place(tmp_path), "owner", _quietly)
    assert read is not None
    assert (read[0], read[1][1]) == found


def test_a_changed_header_is_noticed(tmp_path: Path) -> None:
    folder = _write(tmp_path / "c")
    header = (folder / "state.json").read_text()
    (folder / "state.json").write_text(header.replace('"step": 7', '"step": 6'))
    with pytest.raises(UserError, match="state.json is not what was written"):
        read_checkpoint(open_place(folder), "owner")


def test_the_furthest_checkpoint_is_found_and_halves_are_passed_over(tmp_path: Path) -> None:
    assert find_newest(open_place(tmp_path), "owner", _quietly) is None
    for step in (3, 9, 6):
        _write(tmp_path / f"checkpoint_{step}", step)
    (tmp_path / "checkpoint_99").mkdir()
    found = find_newest(open_place(tmp_path), "owner", _quietly)
    assert found is not None
    assert (found[0].name, found[1].step) == ("checkpoint_9", 9)


def test_tidying_keeps_the_newest_and_the_one_before_it(tmp_path: Path) -> None:
    for step in (3, 9, 6, 12):
        _write(tmp_path / f"checkpoint_{step}", step)
    (tmp_path / "checkpoint_99").mkdir()
    (tmp_path / "checkpoint_manager_snapshot.json").write_text("{}")
    tidy(open_place(tmp_path), open_place(tmp_path / "checkpoint_9"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint_6", "checkpoint_9"]
    tidy(open_place(tmp_path), None)
    assert list(tmp_path.iterdir()) == []


def test_progress_has_only_plain_values() -> None:
    """It is stored as JSON; a field of another kind would not come back as itself."""
    assert all(isinstance(value, (int, float)) for value in dataclasses.astuple(Progress()))


class _Attack:
    """A pickle of it makes a folder when it is loaded carelessly."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("name", ["state.json", "weights.safetensors", "moments.safetensors"])
def test_a_pickle_in_a_checkpoint_is_not_loaded(tmp_path: Path, name: str) -> None:
    checkpoint = tmp_path / "checkpoint_1"
    checkpoint.mkdir()
    write_checkpoint(checkpoint, STATE, Progress(step=7), "stage")
    torch.save(_Attack(tmp_path / "harm"), checkpoint / name)
    found: list[DamagedCheckpoint] = []
    assert find_newest(open_place(tmp_path), "stage", found.append) is None
    assert len(found) == 1
    with pytest.raises(UserError):
        read_checkpoint(open_place(checkpoint), "stage")
    assert not (tmp_path / "harm").exists()


def _carried_error(folder: Path, step: int = 7) -> str:
    with pytest.raises(UserError) as caught:
        read_final_optimizer(open_place(folder), step)
    assert "transfer.optimizer: fresh" in caught.value.mend
    return f"{caught.value.where}: {caught.value.message}"


def test_the_moments_of_a_finished_stage_are_read_alone(tmp_path: Path) -> None:
    for step in (5, 7):
        _write(tmp_path / f"checkpoint_{step}", step)
    (tmp_path / "checkpoint_7" / "weights.safetensors").unlink()
    found = read_final_optimizer(open_place(tmp_path), 7)
    assert found.updates == 7
    for key, moment in STATE.moments.items():
        assert found.moments[key].keys() == moment.keys()
        assert all(torch.equal(found.moments[key][name], moment[name]) for name in moment)


@pytest.mark.parametrize("name", ["moments.safetensors", "state.json"])
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_moments_that_are_gone_or_damaged_are_not_carried(
    tmp_path: Path, name: str, harm: Callable[[Path], None]
) -> None:
    """Those of an earlier step are not the last's."""
    for step in (5, 7):
        _write(tmp_path / f"checkpoint_{step}", step)
    harm(tmp_path / "checkpoint_7" / name)
    assert re.search("cannot be read|is missing", _carried_error(tmp_path))


def test_a_stage_without_its_last_checkpoint_carries_nothing(tmp_path: Path) -> None:
    assert "checkpoint of its last step, 7, is missing" in _carried_error(tmp_path)
    _write(tmp_path / "checkpoint_5", 5)
    assert "checkpoint of its last step, 7, is missing" in _carried_error(tmp_path)
