"""The run's ledger: which stage stands where, what it cost and what it reached.

    {"schema": 1, "chain": NAME, "training_samples": N, "stages": [ENTRY, ...], "individual": [ENTRY, ...]}

An entry's fields are those of `StageEntry`. The file is replaced atomically, so a reader sees a whole one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ray_compt.errors import UserError
from ray_compt.storage import Place
from ray_compt.train.disk import explained

SCHEMA = 1
# How the weights of a fine-tuned model were made.
FINETUNED = "fine-tuned"
State = Literal["pending", "running", "done", "failed"]


@dataclass(frozen=True)
class StageEntry:
    """One stage of the chain, or one individual model.

    Attributes:
        name, folder: of the stage; the folder is relative to the run folder.
        state: pending, running, done or failed.
        model: the model's name.
        parameters: of the model.
        epochs, steps: planned passes over the data, and optimizer steps taken.
        samples: samples trained on (pictures, each counted once an epoch).
        macs: multiply-accumulates of all training so far, teacher included.
        teacher_macs: the teacher's part; with a feature cache, only what was computed.
        teacher_samples: beside a feature cache, samples whose features were computed, each counted once an epoch.
        seconds: wall-clock time, start-up, evaluation and earlier tries included.
        samples_per_second: while training.
        growth: how the initial weights were made.
        distill_weight: weight of the distillation loss at the start.
        teacher: where the teacher ran: "actor", "inline", or "cache" where its features were all kept from
            before; None where there is none.
        metrics: of the evaluation.
        grown_metrics: the same of the grown weights before the first step; none where nothing was grown.
        bad_samples: distinct samples that could not be used.
        data: digest of the training data's index, whose list of shards lies in the run's index folder.
        key: beside a stage store, what the result depends on (`store/key.py`), since the stage began.
        reused: it was taken from the store: what it cost was not spent here.
        error: why it failed.
    """

    name: str
    folder: str
    model: str
    epochs: float
    parameters: int = 0
    state: State = "pending"
    steps: int = 0
    samples: int = 0
    macs: int = 0
    teacher_macs: int = 0
    teacher_samples: int = 0
    seconds: float = 0.0
    samples_per_second: float = 0.0
    growth: str = "scratch"
    distill_weight: float = 0.0
    teacher: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    grown_metrics: dict[str, float] = field(default_factory=dict)
    bad_samples: int = 0
    data: str = ""
    key: str = ""
    reused: bool = False
    error: str | None = None


class Ledger:
    """The ledger of one run folder; every change is stored when the method returns."""

    def __init__(
        self,
        path: Place,
        chain: str,
        stages: list[StageEntry],
        individual: list[StageEntry],
        training_samples: int = 0,
    ):
        self._path, self.chain = path, chain
        self.stages, self.individual = list(stages), list(individual)
        self.training_samples = training_samples

    @classmethod
    def open(cls, path: Place) -> Ledger:
        """Read a ledger.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        try:
            stored = json.loads(path.read_text())
            if not isinstance(stored, dict):
                raise ValueError("it is no object")
            if stored["schema"] != SCHEMA:
                raise ValueError(f"schema {stored['schema']} is not {SCHEMA}")
            stages, individual = (_read_entries(stored[key]) for key in ("stages", "individual"))
            return cls(path, str(stored["chain"]), stages, individual, int(stored["training_samples"]))
        except FileNotFoundError as error:
            raise UserError("no ledger here", where=str(path), mend="give the folder of a run") from error
        except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise UserError(
                f"the ledger cannot be read ({_reason(error)})",
                where=str(path),
                mend="restore it from a copy, or give another --run-dir; the models beside it are as they were",
            ) from error

    def update(self, entry: StageEntry, **changes: Any) -> StageEntry:
        """Replace the entry of the same folder by itself with `changes`, and save."""
        changed = replace(entry, **changes)
        for entries in (self.stages, self.individual):
            for place, existing in enumerate(entries):
                if existing.folder == entry.folder:
                    entries[place] = changed
        self.save()
        return changed

    def save(self) -> None:
        """Replace the file.

        Raises:
            TrainingError: the disk is full; the file on it is the one before.
        """
        with explained(str(self._path)):
            self._path.write_text(json.dumps(self.to_json(), indent=1))

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "chain": self.chain,
            "training_samples": self.training_samples,
            "stages": [asdict(entry) for entry in self.stages],
            "individual": [asdict(entry) for entry in self.individual],
        }


def macs_saved(entries: Iterable[StageEntry]) -> int:
    """Multiply-accumulates that were not spent, because another run had trained the same stages."""
    return sum({entry.folder: entry.macs for entry in entries if entry.reused}.values())


def _read_entries(stored: list[dict[str, Any]]) -> list[StageEntry]:
    """Entries from JSON. Raises TypeError or ValueError where one is not what `StageEntry` says."""
    from pydantic import TypeAdapter

    # The constructor refuses fields that it does not know, the adapter values of another type.
    entries = [asdict(StageEntry(**entry)) for entry in stored]
    checked = TypeAdapter(list[StageEntry]).validate_python(entries)
    for entry in checked:
        if ".." in Path(entry.folder).parts or Path(entry.folder).is_absolute():
            raise ValueError(f"the folder {entry.folder} is not inside the run")
    return checked


def _reason(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return getattr(error, "strerror", None) or str(error)
