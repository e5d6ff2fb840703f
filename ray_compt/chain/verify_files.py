"""Are a stage's checkpoints and its exported model what was written? Every file held against its checksum."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from ray_compt.models.checksums import CHECKSUMS_FILE, faults, read_checksums, seal_holds
from ray_compt.models.store import CONFIG_FILE, WEIGHTS_FILE
from ray_compt.storage import Place

CHECKPOINTS, HEADER = "checkpoints", "state.json"


@dataclass(frozen=True)
class CheckpointReport:
    """One checkpoint.

    Attributes:
        name: of its folder.
        step: optimizer steps taken; None where its header cannot be read.
        complete: its header is there; a folder without one was cut off and is no checkpoint.
        faults: what is wrong with which file.
    """

    name: str
    step: int | None
    complete: bool
    faults: dict[str, str]


@dataclass(frozen=True)
class ExportReport:
    """An exported model.

    Attributes:
        checked: there are checksums to hold it against.
        faults: what is wrong with which file.
    """

    checked: bool
    faults: dict[str, str]


def check_checkpoints(stage: Place, *, settle_s: float) -> list[CheckpointReport]:
    """Every checkpoint of a stage's folder, the furthest last.

    Args:
        stage: the stage's folder.
        settle_s: a checkpoint with a fault is looked at again after so many seconds, until it no longer
            changes: it may be on its way. 0: the run is known to stand still.
    """
    # Ray Train keeps a file of its own beside the checkpoints, named like them.
    place = stage / CHECKPOINTS
    named = [place / name for name in place.names() if name.startswith("checkpoint_")]
    folders = [folder for folder in named if folder.is_folder()]
    found = [report for folder in folders if (report := _check_settled(folder, settle_s)) is not None]
    return sorted(found, key=lambda report: report.step or 0)


def check_export(stage: Place) -> ExportReport:
    """The model in a finished stage's folder."""
    try:
        digests = read_checksums(stage)
    except FileNotFoundError:
        absent = {name: "missing" for name in (WEIGHTS_FILE, CONFIG_FILE) if not (stage / name).is_file()}
        return ExportReport(False, absent)
    except (OSError, ValueError) as error:
        return ExportReport(True, {CHECKSUMS_FILE: f"cannot be read: {error}"})
    missing = {name: "without a checksum" for name in (WEIGHTS_FILE, CONFIG_FILE) if name not in digests}
    return ExportReport(True, faults(stage, digests) | missing)


def _check_settled(folder: Place, settle_s: float) -> CheckpointReport | None:
    """None where the checkpoint has been replaced by newer ones meanwhile."""
    while True:
        before = _looks(folder)
        report = _check(folder)
        if report.complete and not report.faults:
            return report
        if settle_s:
            time.sleep(settle_s)
        now = _looks(folder)
        if not now:
            return None if before or not folder.is_folder() else report
        if now == before:
            return report


def _check(folder: Place) -> CheckpointReport:
    try:
        header = json.loads((folder / HEADER).read_text())
        step, files = int(header["progress"]["step"]), dict(header["files"])
        if not seal_holds(header):
            raise ValueError("it is not what was written")
    except FileNotFoundError:
        return CheckpointReport(folder.name, None, False, {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        return CheckpointReport(folder.name, None, True, {HEADER: f"damaged ({error})"})
    return CheckpointReport(folder.name, step, True, faults(folder, files))


def _looks(folder: Place) -> dict[str, tuple[int, int]]:
    """Size and time of each file by name; empty where the folder is gone."""
    try:
        return folder.versions()
    except OSError:
        return {}
