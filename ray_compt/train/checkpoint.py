"""A stage's checkpoint on disk, independent of worker count and ZeRO stage.

    checkpoint_.../
      state.json             step, counters, what it belongs to, the digest of each file, and its own
      weights.safetensors    fp32 master weights
      moments.safetensors    exp_avg/NAME and exp_avg_sq/NAME

`state.json` is written last, and copied last (`upload.py`), so a folder without it is not a checkpoint.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file, save_file

from ray_compt.errors import UserError
from ray_compt.models.checksums import file_digest, seal_holds, sealed
from ray_compt.storage import LocalPlace, Place
from ray_compt.train.carried import OptimizerState, flat, nested
from ray_compt.train.state import EngineState

Found = TypeVar("Found")

FORMAT = 1
# So that a damaged one costs only the steps since the one before.
KEPT = 2
STATE, WEIGHTS, MOMENTS_FILE = "state.json", "weights.safetensors", "moments.safetensors"


class DamagedCheckpoint(UserError):
    """A checkpoint whose files are not those that were written; the one before it may do."""

    @property
    def notice(self) -> str:
        """What the terminal says where it is passed over."""
        return f"{self.where} is damaged ({self.message}): an older one is used"


@dataclass(frozen=True)
class Progress:
    """Where a stage stands.

    Attributes:
        step: optimizer steps taken; the next batch to read.
        seconds: time spent in training steps so far.
        samples: readable samples trained on, each counted once an epoch.
        bad_samples: unreadable ones, counted likewise.
        skipped_steps: steps taken whose loss or gradient was not finite, so that they changed no weight.
        skipped_in_a_row: how many of them are the latest steps.
    """

    step: int = 0
    seconds: float = 0.0
    samples: int = 0
    bad_samples: int = 0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0


def write_checkpoint(folder: Path, state: EngineState, progress: Progress, stage_digest: str) -> None:
    """Write a checkpoint into an existing, empty folder."""
    save_file(state.weights, folder / WEIGHTS)
    save_file(flat(state.moments), folder / MOMENTS_FILE)
    header = {
        "format": FORMAT,
        "stage": stage_digest,
        "updates": state.updates,
        "scaler": state.scaler,
        "progress": asdict(progress),
        "files": {name: file_digest(folder / name) for name in (WEIGHTS, MOMENTS_FILE)},
    }
    part = folder / f"{STATE}.part"
    part.write_text(json.dumps(sealed(header), indent=1))
    os.replace(part, folder / STATE)


def read_checkpoint(folder: Place, stage_digest: str) -> tuple[EngineState, Progress]:
    """Read a checkpoint back.

    Raises:
        DamagedCheckpoint: files are missing or not those that were written.
        UserError: the checkpoint belongs to another stage.
    """
    header = _read_header(folder)
    _check_owner(header, folder, stage_digest)
    with folder.local() as path:
        _check_files(header, LocalPlace(path), where=folder)
        moments, weights = nested(load_file(path / MOMENTS_FILE)), load_file(path / WEIGHTS)
    state = EngineState(weights, moments, header["updates"], header["scaler"])
    return state, Progress(**header["progress"])


def find_newest(
    checkpoints: Place, stage_digest: str, damaged: Callable[[DamagedCheckpoint], None]
) -> tuple[Place, Progress] | None:
    """The checkpoint that got furthest among those that are whole, and its progress; None where there is none.

    Args:
        damaged: called with what is wrong with each newer one that had to be passed over.

    Raises:
        UserError: a checkpoint belongs to another stage.
    """

    def check(folder: Place) -> Progress:
        header = _read_header(folder)
        _check_owner(header, folder, stage_digest)
        _check_files(header, folder, where=folder)
        return Progress(**header["progress"])

    return _first_whole(checkpoints, check, damaged)


def read_newest(
    checkpoints: Place, stage_digest: str, damaged: Callable[[DamagedCheckpoint], None]
) -> tuple[Place, tuple[EngineState, Progress]] | None:
    """What `find_newest` finds, read; each file is fetched once."""
    return _first_whole(checkpoints, lambda folder: read_checkpoint(folder, stage_digest), damaged)


def _first_whole(
    checkpoints: Place, read: Callable[[Place], Found], damaged: Callable[[DamagedCheckpoint], None]
) -> tuple[Place, Found] | None:
    for folder in _by_progress(checkpoints):
        try:
            return folder, read(folder)
        except DamagedCheckpoint as error:
            damaged(error)
    return None


def tidy(checkpoints: Place, newest: Place | None) -> None:
    """Keep `newest` and the one before it, and remove the others, also those that are newer but damaged.

    Ray Train's own record of them goes too: it could not be read by another version of Ray, nor once a folder
    that it names is gone.
    """
    folders = _by_progress(checkpoints)
    keep = folders[folders.index(newest) :][:KEPT] if newest else []
    for folder in folders:
        if folder not in keep:
            folder.remove()
    for name in checkpoints.names():
        if name.startswith("checkpoint_manager_snapshot") and name.endswith(".json"):
            (checkpoints / name).remove()


def read_weights(folder: Place) -> dict:
    """Only the fp32 master weights of a checkpoint."""
    with (folder / WEIGHTS).local() as file:
        return load_file(file)


def read_final_optimizer(checkpoints: Place, step: int) -> OptimizerState:
    """What AdamW knew at the end of a finished stage, whatever its settings; names as in the checkpoint.

    Args:
        step: the stage's last, whose checkpoint it must be.

    Raises:
        UserError: that checkpoint is gone or damaged.
    """
    mend = "restore it from a copy, or begin this stage with transfer.optimizer: fresh"
    folder = next((place for place in _by_progress(checkpoints) if _claimed_step(place) == step), None)
    if folder is None:
        raise UserError(
            f"the predecessor's checkpoint of its last step, {step}, is missing, and with it the moments to carry",
            where=str(checkpoints),
            mend=mend,
        )
    try:
        header = _read_header(folder)
        _check_files(header, folder, where=folder, names=(MOMENTS_FILE,))
    except DamagedCheckpoint as error:
        raise UserError(
            f"the moments to carry cannot be read: {error.message}", where=str(folder), mend=mend
        ) from error
    with (folder / MOMENTS_FILE).local() as file:
        return OptimizerState(nested(load_file(file)), header["updates"])


def _by_progress(checkpoints: Place) -> list[Place]:
    """Folders of checkpoints, the furthest first; before them those that do not say how far they got."""
    named = (checkpoints / name for name in checkpoints.names() if name.startswith("checkpoint_"))
    return sorted((place for place in named if place.is_folder()), key=_claimed_step, reverse=True)


def _claimed_step(folder: Place) -> float:
    try:
        return int(json.loads((folder / STATE).read_text())["progress"]["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return float("inf")


def _read_header(folder: Place) -> dict:
    try:
        header = json.loads((folder / STATE).read_text())
        Progress(**header["progress"])
        complete = {"format", "stage", "updates", "scaler", "files"} <= header.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, f"its {STATE} cannot be read") from error
    if not complete or not seal_holds(header):
        raise _damaged(folder, f"its {STATE} is not what was written")
    if header["format"] != FORMAT:
        raise UserError(
            f"checkpoint format {header['format']} is not {FORMAT}",
            where=str(folder),
            mend="go on with the version of ray_compt that wrote it",
        )
    return header


def _check_files(
    header: dict, folder: Place, where: Place, names: tuple[str, ...] = (WEIGHTS, MOMENTS_FILE)
) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise _damaged(where, f"{name} is missing")
        if file_digest(folder / name) != header["files"].get(name):
            raise _damaged(where, f"{name} is not what was written: its checksum differs")


def _damaged(folder: Place, what: str) -> DamagedCheckpoint:
    return DamagedCheckpoint(what, where=str(folder), mend="remove this checkpoint's folder")


def _check_owner(header: dict, folder: Place, stage_digest: str) -> None:
    if header["stage"] != stage_digest:
        raise UserError(
            "this checkpoint belongs to another model or to a stage with other settings",
            where=str(folder),
            mend="give another --run-dir, or remove the stage's folder to train it again",
        )
