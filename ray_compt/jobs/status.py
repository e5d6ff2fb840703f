"""How far a run is, from what lies in its folder. Pure: `read.py` reads the files, `words.py` finds the words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.lock import Driver
from ray_compt.plan.cost import ChainCost
from ray_compt.plan.steps import stage_steps

RunState = Literal["pending", "running", "stopped", "failed", "done"]
# A driver on another host, of which a folder on a disk tells no more, counts as dead after so long a silence.
SILENT_S = 900.0


@dataclass(frozen=True)
class StageStatus:
    """One stage, or one individual model.

    Attributes:
        name, folder: as in the ledger.
        state: as in the ledger, but "stopped" where it is on its way and nobody trains it.
        step: optimizer steps taken.
        steps: planned ones; None before the samples have been counted.
        workers: that train now; None where it does not run, or they have not started.
        samples_per_second: while training; 0 before the first step.
        seconds: wall-clock time so far, earlier tries included.
        seconds_left: an estimate of what is to come; None where nothing is known yet.
        reused: taken from a stage store.
        error: why it failed.
    """

    name: str
    folder: str
    state: str
    step: int
    steps: int | None
    workers: int | None
    samples_per_second: float
    seconds: float
    seconds_left: float | None
    reused: bool
    error: str | None


@dataclass(frozen=True)
class RunStatus:
    """A run.

    Attributes:
        run: its folder.
        chain: its name.
        state: "stopped" where it has begun and nobody trains; the same command goes on.
        stages: of the chain, then the individual models.
        seconds_left: of all that is to come; None where nothing is known yet.
        driver: who trains; None where nobody does.
        heard_s: seconds since the newest sign of life; None where there was none.
    """

    run: str
    chain: str
    state: RunState
    stages: tuple[StageStatus, ...]
    seconds_left: float | None
    driver: Driver | None
    heard_s: float | None

    @property
    def current(self) -> int | None:
        """Place of the first stage that is not done, from 0; None where all are."""
        return next((place for place, stage in enumerate(self.stages) if stage.state != "done"), None)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers."""
        stages = [asdict(stage) for stage in self.stages]
        return {**asdict(self), "stages": stages, "current": self.current}


@dataclass(frozen=True)
class Planned:
    """What a stage will have taken.

    Attributes:
        steps: optimizer steps.
        macs: multiply-accumulates, teachers included.
        global_batch: samples a step.
    """

    steps: int
    macs: int
    global_batch: int


def planned_work(cost: ChainCost, individual: bool) -> list[Planned]:
    """The plan of each entry of a ledger: the chain's stages, then, where asked for, the individual models."""
    batches = [stage.samples // stage.steps for stage in cost.stages]
    stages = [Planned(stage.steps, stage.macs, batch) for stage, batch in zip(cost.stages, batches)]
    if not individual:
        return stages
    alone = [
        Planned(
            stage_steps(stage.individual_epochs, cost.samples, batch),
            stage.individual_macs,
            batch,
        )
        for stage, batch in zip(cost.stages, batches)
    ]
    return [*stages, *alone]


def run_status(
    run: str,
    chain: str,
    entries: Sequence[StageEntry],
    planned: Sequence[Planned] | None,
    events: Iterable[Mapping[str, Any]],
    driver: Driver | None,
    heard_s: float | None,
) -> RunStatus:
    """The status of a run.

    Args:
        run: its folder.
        chain: its name.
        entries: of its ledger, those of the chain first; an individual model that is a stage of the chain counts once.
        planned: for each entry; None before the samples have been counted.
        events: of the stage that runs, in order.
        driver: as driver.json has it.
        heard_s: seconds since anything in the folder was written.
    """
    distinct = _distinct(entries, planned)
    at_work = driver is not None and (
        driver.alive if driver.alive is not None else heard_s is None or heard_s < SILENT_S
    )
    rate = _seconds_per_mac([entry for entry, _ in distinct])
    workers = _workers(events) if at_work else None
    stages = tuple(_stage(entry, plan, workers, rate, at_work) for entry, plan in distinct)
    left = [stage.seconds_left for stage in stages]
    total = None if any(one is None for one in left) else sum(one for one in left if one is not None)
    return RunStatus(run, chain, _state(stages, at_work), stages, total, driver if at_work else None, heard_s)


def _distinct(
    entries: Sequence[StageEntry], planned: Sequence[Planned] | None
) -> list[tuple[StageEntry, Planned | None]]:
    plans: Sequence[Planned | None] = planned if planned is not None else [None] * len(entries)
    found: dict[str, tuple[StageEntry, Planned | None]] = {}
    for entry, plan in zip(entries, plans):
        found.setdefault(entry.folder, (entry, plan))
    return list(found.values())


def _stage(
    entry: StageEntry, plan: Planned | None, workers: int | None, rate: float | None, at_work: bool
) -> StageStatus:
    runs = entry.state == "running"
    return StageStatus(
        name=entry.name,
        folder=entry.folder,
        state="stopped" if runs and not at_work else entry.state,
        step=entry.steps,
        steps=plan.steps if plan else None,
        workers=workers if runs else None,
        samples_per_second=entry.samples_per_second,
        seconds=entry.seconds,
        seconds_left=_left(entry, plan, rate),
        reused=entry.reused,
        error=entry.error,
    )


def _left(entry: StageEntry, plan: Planned | None, rate: float | None) -> float | None:
    """Seconds to the end of a stage: at its own speed where it has one, else at that of all MACs so far."""
    if entry.state == "done":
        return 0.0
    if plan is None:
        return None
    steps = max(0, plan.steps - entry.steps)
    if entry.samples_per_second > 0:
        return steps * plan.global_batch / entry.samples_per_second
    return None if rate is None else rate * plan.macs * steps / plan.steps


def _seconds_per_mac(entries: Iterable[StageEntry]) -> float | None:
    """Of all that was trained here, start-up and evaluation included; None before the first step."""
    trained = [entry for entry in entries if not entry.reused and entry.macs]
    macs = sum(entry.macs for entry in trained)
    return sum(entry.seconds for entry in trained) / macs if macs else None


def _workers(events: Iterable[Mapping[str, Any]]) -> int | None:
    """Of the group that took its first step last; None while one is being replaced."""
    workers = None
    for event in events:
        if event.get("event") in ("started", "running") and isinstance(event.get("workers"), int):
            workers = event["workers"]
        elif event.get("event") in ("resize", "failure"):
            workers = None
    return workers


def _state(stages: Sequence[StageStatus], at_work: bool) -> RunState:
    states = {stage.state for stage in stages}
    if states <= {"done"}:
        return "done"
    if at_work:
        return "running"
    if "failed" in states:
        return "failed"
    return "pending" if states == {"pending"} else "stopped"
