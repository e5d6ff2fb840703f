"""What a report knows of its runs: plain data, read from run folders, drawn by `figures/` and `page.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_compt.data import BadSample
from ray_compt.plan import ChainCost


@dataclass(frozen=True)
class Curves:
    """What was recorded step by step, thinned to means over runs of steps of equal length.

    Attributes:
        steps: last step of each run of steps, ascending.
        values: as many means by name, None where nothing finite was recorded: `task_loss`; `distill_loss`, times its
            weight; `lr`; `grad_norm`; and of the steps whose time is known `step_ms`, `data_ms` and `teacher_ms` (of
            it, waiting for data and for teachers) and `read` (samples that could be used).
    """

    steps: Sequence[int] = ()
    values: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class StageEvent:
    """One line of a stage's events.jsonl.

    Attributes:
        time: seconds since the epoch.
        kind: "started", "running", "checkpoint", "resize", "failure", "note", ...
        values: what the kind needs.
    """

    time: float
    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class TaskFacts:
    """One task of a stage's evaluation.json.

    Attributes:
        name, kind: of the task.
        metrics: by name, finite ones.
        intervals: lower and upper end of the confidence intervals of some of them.
        corruptions: metrics on corrupted pictures, by corruption.
        severity: of the corruptions; None where there are none.
    """

    name: str
    kind: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    corruptions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    severity: int | None = None


@dataclass(frozen=True)
class StageFacts:
    """One stage of a chain, or one model trained alone.

    Attributes:
        name, folder, model, epochs, parameters, growth, error: as in the ledger.
        state: likewise, or "stopped" where nobody trains on.
        steps, planned_steps: optimizer steps taken, and those of the whole stage.
        student_macs, teacher_macs: of its training so far.
        seconds: wall-clock time so far.
        metrics, grown_metrics: of the evaluation at its end, and of its grown weights before the first step.
        tasks: what its evaluation measured, with intervals; none where it was not evaluated.
        curves, events: of its steps; what happened to it.
        bad_count: samples that could not be used, of which `bad_samples` names the first.
    """

    name: str
    folder: str
    model: str
    state: str
    epochs: float
    parameters: int
    steps: int
    planned_steps: int
    student_macs: int
    teacher_macs: int
    seconds: float
    growth: str
    metrics: Mapping[str, float]
    grown_metrics: Mapping[str, float]
    error: str | None = None
    tasks: Sequence[TaskFacts] = ()
    curves: Curves = Curves()
    events: Sequence[StageEvent] = ()
    bad_count: int = 0
    bad_samples: Sequence[BadSample] = ()

    @property
    def macs(self) -> int:
        return self.student_macs + self.teacher_macs

    @property
    def done(self) -> bool:
        return self.state == "done"


@dataclass(frozen=True)
class RunFacts:
    """One run.

    Attributes:
        name: of the chain.
        path: the run folder as it was given, without credentials.
        chain_text: the resolved chain file, without credentials.
        stages: of the chain, in order.
        individual: the same models trained alone, none where that was not asked for. The first may be the chain's own
            first stage.
        cost: the plan.
        starts: what it ran with (`environment.json`), oldest first.
        finetuned: one trained model on labelled pictures, no chain: there is nothing to hold its cost against, and
            `cost` is not its.
    """

    name: str
    path: str
    chain_text: str
    stages: Sequence[StageFacts]
    individual: Sequence[StageFacts]
    cost: ChainCost
    starts: Sequence[Mapping[str, Any]] = ()
    finetuned: bool = False

    @property
    def done(self) -> bool:
        return all(stage.done for stage in (*self.stages, *self.individual))

    @property
    def chain_macs(self) -> int:
        """Of all that the chain has trained so far."""
        return sum(stage.macs for stage in self.stages)

    @property
    def alone_is_measured(self) -> bool:
        """Whether every model was also trained alone, so that its cost need not be taken from the plan."""
        return bool(self.individual) and all(stage.done for stage in self.individual)

    def alone_macs(self, number: int) -> int:
        """Cost of model `number` of the family trained alone: spent where it was, else planned."""
        if number < len(self.individual) and self.individual[number].done:
            return self.individual[number].macs
        return self.cost.stages[number].individual_macs

    @property
    def family_alone_macs(self) -> int:
        return sum(map(self.alone_macs, range(len(self.stages))))
