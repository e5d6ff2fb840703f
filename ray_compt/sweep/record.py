"""What a sweep did: sweep.json in its folder, one entry a trial.

    {"schema": 1, "name": NAME, "text": TEXT, "objective": {...}, "started": TIME, "ended": TIME or null,
     "versions": {...}, "command": COMMAND or null, "planned": N, "trials": [TRIAL, ...]}

Fields are those of `SweepRecord`, `TrialRecord` and `StageRecord`. The file is replaced atomically, so a reader sees a
whole one. JSON knows no nan and no infinity: such a metric is stored as null and read back as nan.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from ray_compt.errors import UserError
from ray_compt.storage import Place
from ray_compt.sweep.objective import Objective
from ray_compt.train.disk import explained

FILE = "sweep.json"
SCHEMA = 1
TrialState = Literal["pending", "running", "done", "pruned", "failed"]
STATES: tuple[TrialState, ...] = get_args(TrialState)
# States that a trial does not leave by itself.
ENDED = frozenset({"done", "pruned", "failed"})


@dataclass(frozen=True)
class StageRecord:
    """One stage of a trial.

    Attributes:
        name: of the stage.
        model: the model's name.
        key: its hash in the stage store, which covers its predecessor's; empty where it is not known yet.
        epochs: passes over the data.
        state: as in the ledger of a run; "pruned" too.
        reused: taken from the stage store, trained by another trial or run.
        steps: optimizer steps of its training so far.
        macs: multiply-accumulates of its training so far, teacher included; of a reused stage what they were.
        teacher_macs: the teacher's part.
        seconds: wall-clock time of its training; of a reused stage what it was.
        metrics: of the evaluation at its end.
    """

    name: str
    model: str
    key: str
    epochs: float
    state: str = "pending"
    reused: bool = False
    steps: int = 0
    macs: int = 0
    teacher_macs: int = 0
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialRecord:
    """A candidate (a composition of the chain and values of the space) trained with one seed.

    Attributes:
        number: from 0, in the order of their start.
        candidate: from 0; trials of one candidate differ in their seed alone.
        seed: the chain's.
        chain: names of its stages, ascending.
        values: of the keys of the space, plain data.
        state: "pruned" trials were ended by the scheduler, "failed" ones say why in `error`.
        error: cause and mend.
        stages: those begun, and those to come as far as known.
        run: its run folder, relative to the sweep's.
    """

    number: int
    candidate: int
    seed: int
    chain: tuple[str, ...]
    values: dict[str, Any]
    state: TrialState = "pending"
    error: str | None = None
    stages: tuple[StageRecord, ...] = ()
    run: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        """Of the last stage that is done; empty where none is."""
        done = [stage for stage in self.stages if stage.state == "done"]
        return done[-1].metrics if done else {}

    @property
    def macs_paid(self) -> int:
        """Spent by this trial."""
        return sum(stage.macs for stage in self.stages if not stage.reused)

    @property
    def macs_saved(self) -> int:
        """Of stages that it took from the store."""
        return sum(stage.macs for stage in self.stages if stage.reused)

    @property
    def macs(self) -> int:
        """What the chain costs, whoever trained its stages."""
        return sum(stage.macs for stage in self.stages)

    @property
    def seconds(self) -> float:
        """As `macs`: of all stages, reused ones at what they took."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def seconds_paid(self) -> float:
        """Of the stages that this trial trained."""
        return sum(stage.seconds for stage in self.stages if not stage.reused)

    @property
    def ended(self) -> bool:
        return self.state in ENDED


@dataclass(frozen=True)
class SweepRecord:
    """A whole sweep.

    Attributes:
        name: of the sweep.
        text: the sweep file.
        objective: what is sought.
        trials: by number.
        started, ended: ISO 8601, UTC; `ended` None while it runs.
        versions: of packages, by name.
        command: the command line without credentials; None where Python called.
        planned: trials that there will be, as far as the newest start knows.
    """

    name: str
    text: str
    objective: Objective
    trials: tuple[TrialRecord, ...] = ()
    started: str = ""
    ended: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    command: str | None = None
    planned: int = 0

    @property
    def macs_paid(self) -> int:
        return sum(trial.macs_paid for trial in self.trials)

    @property
    def macs_saved(self) -> int:
        return sum(trial.macs_saved for trial in self.trials)

    def count(self, *states: str) -> int:
        """Number of trials in these states."""
        return sum(trial.state in states for trial in self.trials)

    def to_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **_plain(asdict(self))}


def write_record(place: Place, record: SweepRecord) -> None:
    """Replace the file.

    Raises:
        TrainingError: the disk is full; the file on it is the one before.
    """
    with explained(str(place)):
        place.write_text(json.dumps(record.to_json(), indent=1, ensure_ascii=False, allow_nan=False))


def read_record(place: Place) -> SweepRecord:
    """Read a sweep.json.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    from pydantic import ValidationError

    try:
        return record_from_json(json.loads(place.read_text()))
    except FileNotFoundError as error:
        raise UserError("no sweep here", where=str(place), mend="give the folder of a sweep") from error
    except ValidationError as error:
        reason = _first(error)
    except KeyError as error:
        reason = f"{error.args[0]} is missing"
    except RecursionError:
        reason = "it is nested too deeply"
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
    raise UserError(
        f"the sweep's record cannot be read ({reason})",
        where=str(place),
        mend="restore it from a copy; the trials' own folders are as they were",
    )


def record_from_json(stored: Mapping[str, Any]) -> SweepRecord:
    """The record that `to_json` gave. Raises ValueError, LookupError or TypeError where it is none."""
    from pydantic import TypeAdapter

    if not isinstance(stored, dict):
        raise ValueError("it is no object")
    if stored["schema"] != SCHEMA:
        raise ValueError(f"schema {stored['schema']} is not {SCHEMA}")
    found = {key: value for key, value in stored.items() if key != "schema"}
    # The constructors refuse fields that they do not know, the adapter values of another type.
    objective = Objective(**found.pop("objective"))
    trials = tuple(map(_trial, found.pop("trials")))
    record = SweepRecord(**found, objective=objective, trials=trials)
    return TypeAdapter(SweepRecord).validate_python(asdict(record))


def _trial(stored: Mapping[str, Any]) -> TrialRecord:
    stages = tuple(StageRecord(**{**stage, "metrics": _numbers(stage)}) for stage in stored["stages"])
    trial = TrialRecord(**{**stored, "stages": stages})
    run = PurePosixPath(trial.run)
    if run.is_absolute() or ".." in run.parts:
        raise ValueError(f"the folder {trial.run} is not inside the sweep")
    return trial


def _numbers(stage: Mapping[str, Any]) -> dict[str, float]:
    return {key: math.nan if value is None else value for key, value in stage["metrics"].items()}


def _plain(value: Any) -> Any:
    """Plain data with tuples as lists, and null for what JSON does not know."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _first(error: Any) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
