"""How far a trial is, in a file of its own folder, written by the process that runs it.

    SWEEP/trials/0000/trial.json    {"state": "running", "error": null}

States are those of `record.TrialState`; "running" where nobody runs it means that it goes on where it stopped.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import get_args

from ray_compt.storage import Place
from ray_compt.sweep.record import TrialState
from ray_compt.train.disk import explained

FILE = "trial.json"


@dataclass(frozen=True)
class TrialFile:
    """The content of trial.json.

    Attributes:
        error: cause and mend, of a failed trial.
    """

    state: TrialState = "pending"
    error: str | None = None


def read_trial(folder: Place) -> TrialFile:
    """A trial's state; pending where there is no file, or none that can be understood: then it is run anew."""
    try:
        stored = json.loads((folder / FILE).read_text())
        found = TrialFile(**stored)
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return TrialFile()
    return found if found.state in get_args(TrialState) else TrialFile()


def write_trial(folder: Place, state: TrialState, error: str | None = None) -> None:
    with explained(str(folder)):
        (folder / FILE).write_text(json.dumps(asdict(TrialFile(state, error))) + "\n")
