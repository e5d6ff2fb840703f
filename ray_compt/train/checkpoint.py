"""A stage's checkpoint on disk, independent of worker count and ZeRO stage.

    checkpoint_.../
      state.json             step, counters, what it belongs to, the digest of each file, and its own
      weights.safetensors    fp32 master weights
      moments.safetensors    exp_avg/NAME and exp_avg_sq/NAME

`state.json` is written last, so a folder without it is not a checkpoint.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file

from ray_compt.errors import UserError
from ray_compt.models.checksums import file_digest, seal_holds, sealed
from ray_compt.train.state import MOMENTS, EngineState

FORMAT = 1
STATE, WEIGHTS, MOMENTS_FILE = "state.json", "weights.safetensors", "moments.safetensors"


@dataclass(frozen=True)
class Progress:
    """Where a stage stands.

    Attributes:
        step: optimizer steps taken; the next batch to read.
        seconds: time spent in training steps so far.
        samples: readable samples trained on, each counted once an epoch.
        bad_samples: unreadable ones, counted likewise.
    """

    step: int = 0
    seconds: float = 0.0
    samples: int = 0
    bad_samples: int = 0


def write_checkpoint(folder: Path, state: EngineState, progress: Progress, stage_digest: str) -> None:
    """Write a checkpoint into an existing, empty folder."""
    save_file(state.weights, folder / WEIGHTS)
    moments = {f"{key}/{name}": tensor for key in MOMENTS for name, tensor in state.moments[key].items()}
    save_file(moments, folder / MOMENTS_FILE)
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


def read_checkpoint(folder: Path, stage_digest: str) -> tuple[EngineState, Progress]:
    """Read a checkpoint back.

    Raises:
        UserError: files are missing or damaged, or the checkpoint belongs to another stage.
    """
    header = _read_header(folder)
    _check_owner(header, folder, stage_digest)
    for name, digest in header["files"].items():
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise UserError(
                f"{name} is missing or damaged", where=str(folder), mend="remove this checkpoint's folder"
            )
    merged = load_file(folder / MOMENTS_FILE)
    moments = {
        key: {name.removeprefix(f"{key}/"): t for name, t in merged.items() if name.startswith(f"{key}/")}
        for key in MOMENTS
    }
    weights = load_file(folder / WEIGHTS)
    state = EngineState(weights, moments, header["updates"], header["scaler"])
    return state, Progress(**header["progress"])


def read_weights(folder: Path) -> dict:
    """Only the fp32 master weights of a checkpoint."""
    return load_file(folder / WEIGHTS)


def _read_header(folder: Path) -> dict:
    try:
        header = json.loads((folder / STATE).read_text())
        if not seal_holds(header):
            raise ValueError(f"{STATE} is damaged")
    except (OSError, ValueError) as error:
        raise UserError(
            f"not a readable checkpoint ({error})", where=str(folder), mend="remove this folder"
        ) from error
    if header.get("format") != FORMAT:
        raise UserError(
            f"checkpoint format {header.get('format')} is not {FORMAT}",
            where=str(folder),
            mend="go on with the version of ray_compt that wrote it",
        )
    return header


def find_latest(folder: Path, stage_digest: str) -> tuple[Path, Progress] | None:
    """The checkpoint of a stage's folder that got furthest, and its progress; None where there is none.

    Raises:
        UserError: it belongs to another stage.
    """
    found = []
    for header_file in folder.glob(f"checkpoint_*/{STATE}"):
        header = _read_header(header_file.parent)
        _check_owner(header, header_file.parent, stage_digest)
        found.append((header_file.parent, Progress(**header["progress"])))
    return max(found, key=lambda pair: pair[1].step, default=None)


def _check_owner(header: dict, folder: Path, stage_digest: str) -> None:
    if header["stage"] != stage_digest:
        raise UserError(
            "this checkpoint belongs to another model or to a stage with other settings",
            where=str(folder),
            mend="give another --run-dir, or remove the stage's folder to train it again",
        )
