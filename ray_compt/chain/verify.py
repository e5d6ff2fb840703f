"""Is a run what its chain file asked for? Samples against the plan, files against their checksums.

Nothing is written, no shard is read where the run's index folder holds its table, and neither Ray nor torch is
loaded. A running run is judged by what it should have done so far.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ray_compt.chain.folder import RunFolder, run_place
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.verify_files import CheckpointReport, ExportReport, check_checkpoints, check_export
from ray_compt.chain.verify_samples import Problem, SamplesReport, check_samples, read_steps
from ray_compt.config.schema import Chain
from ray_compt.data.listing import load_listing
from ray_compt.data.order import chain_order
from ray_compt.data.planned import Plan, Samples
from ray_compt.errors import UserError
from ray_compt.plan.cost import individual_epochs
from ray_compt.plan.steps import stage_steps

SETTLE_S = 2.0


@dataclass(frozen=True)
class StageReport:
    """What was found of one stage or individual model.

    Attributes:
        folder, state: as the ledger has them.
        samples: None where the stage has not begun or its plan cannot be worked out.
        checkpoints: those that are kept.
        export: None where the stage is not done.
        problems: everything that is wrong.
        unchecked: everything that could not be checked, for people.
    """

    folder: str
    state: str
    samples: SamplesReport | None
    checkpoints: tuple[CheckpointReport, ...]
    export: ExportReport | None
    problems: tuple[Problem, ...]
    unchecked: tuple[str, ...]


@dataclass(frozen=True)
class RunReport:
    """What was found of a run."""

    run: str
    chain: str
    stages: tuple[StageReport, ...]

    @property
    def well(self) -> bool:
        """Everything was checked, and nothing is wrong."""
        return not any(stage.problems or stage.unchecked for stage in self.stages)

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; each stage's problems and gaps stand once, with the stage."""
        document = {"well": self.well, **asdict(self)}
        for stage in document["stages"]:
            for twice in ("problems", "unchecked"):
                (stage["samples"] or {}).pop(twice, None)
        return document


def verify_run(run: str | Path, *, settle_s: float = SETTLE_S) -> RunReport:
    """Check a whole run.

    Args:
        run: the run folder, a path or a URL.
        settle_s: how long a faulty checkpoint of a running stage may take to change before it counts as damaged.

    Raises:
        UserError: there is no run, or its ledger or chain file cannot be read.
    """
    folder = RunFolder(run_place(str(run)))
    ledger = Ledger.open(folder.ledger_file)
    chain = folder.read_chain()
    check = _Check(folder, chain, settle_s, {}, {})
    return RunReport(str(run), chain.name, tuple(check.stages(ledger)))


@dataclass(frozen=True)
class _Wanted:
    """What the chain file asks of a stage."""

    epochs: float
    global_batch: int


@dataclass(frozen=True)
class _Check:
    """One run's check; what stages share (keys of samples, epochs of the order) is worked out once."""

    folder: RunFolder
    chain: Chain
    settle_s: float
    samples: dict[str, Samples]
    plans: dict[tuple[str, int], Plan]

    def stages(self, ledger: Ledger) -> Iterator[StageReport]:
        first = self.chain.stages[0]
        alone = _Wanted(individual_epochs(self.chain), first.train.global_batch)
        wanted = [_Wanted(stage.epochs, stage.train.global_batch) for stage in self.chain.stages]
        if len(ledger.stages) != len(wanted):
            raise UserError(
                f"the chain file has {len(wanted)} stages, the ledger {len(ledger.stages)}",
                where=str(self.folder.path),
                mend="run `compt train` on this folder again, which writes both",
            )
        shared = {entry.folder for entry in ledger.stages}
        yield from (self._stage(entry, want) for entry, want in zip(ledger.stages, wanted))
        yield from (self._stage(entry, alone) for entry in ledger.individual if entry.folder not in shared)

    def _stage(self, entry: StageEntry, wanted: _Wanted) -> StageReport:
        if entry.state == "pending":
            return StageReport(entry.folder, entry.state, None, (), None, (), ())
        done, path = entry.state == "done", self.folder.stage(entry)
        # Before the metrics: their lines are on disk when a checkpoint appears, and grow meanwhile.
        checkpoints = check_checkpoints(path, settle_s=self.settle_s if entry.state == "running" else 0)
        export = check_export(path) if done else None
        samples, unchecked = None, list[str]()
        try:
            samples = self._samples(entry, wanted, checkpoints)
            unchecked += samples.unchecked
        except UserError as error:
            unchecked.append(f"which samples were used: {error}")
        if export is not None and not export.checked:
            unchecked.append("the exported model: it has no checksums.json")
        problems = [
            *(samples.problems if samples else ()),
            *_checkpoint_problems(checkpoints, samples, done),
            *_export_problems(export),
        ]
        return StageReport(
            entry.folder, entry.state, samples, tuple(checkpoints), export, tuple(problems), tuple(unchecked)
        )

    def _samples(
        self, entry: StageEntry, wanted: _Wanted, checkpoints: list[CheckpointReport]
    ) -> SamplesReport:
        """Raises UserError where the plan cannot be worked out."""
        plan = self._plan(entry, wanted.global_batch)
        planned = stage_steps(wanted.epochs, plan.order.samples, wanted.global_batch)
        reached = max((checkpoint.step or 0 for checkpoint in checkpoints), default=0)
        done = entry.state == "done"
        lines = read_steps(self.folder.stage(entry))
        report = check_samples(lines, plan, planned=planned, due=planned if done else reached)
        more = []
        if done and lines.cut:
            more.append(Problem("unreadable", "the last line of metrics.jsonl is cut off"))
        if done and entry.steps != planned:
            more.append(Problem("ledger", f"the ledger says {entry.steps} steps, the plan {planned}"))
        return replace(report, problems=(*report.problems, *more))

    def _plan(self, entry: StageEntry, global_batch: int) -> Plan:
        if not entry.data:
            raise UserError("the ledger does not say on which data, because an older version wrote it")
        if entry.data not in self.samples:
            data = self.chain.data
            index = load_listing(data.train, data, str(self.folder.index), entry.data)
            self.samples[entry.data] = Samples(index)
        samples = self.samples[entry.data]
        key = entry.data, global_batch
        if key not in self.plans:
            self.plans[key] = Plan(chain_order(self.chain, samples.index.sizes, global_batch), samples)
        return self.plans[key]


def _checkpoint_problems(
    checkpoints: list[CheckpointReport], samples: SamplesReport | None, done: bool
) -> Iterator[Problem]:
    for checkpoint in checkpoints:
        for file, fault in checkpoint.faults.items():
            yield Problem("checkpoint", f"checkpoints/{checkpoint.name}/{file}: {fault}")
    steps = [checkpoint.step for checkpoint in checkpoints if checkpoint.step is not None]
    if samples is None or not checkpoints:
        return
    if done and max(steps, default=0) != samples.planned_steps:
        yield Problem(
            "checkpoint", f"none of the checkpoints is that of the last step, {samples.planned_steps}"
        )


def _export_problems(export: ExportReport | None) -> Iterator[Problem]:
    for file, fault in (export.faults if export else {}).items():
        yield Problem("export", f"{file}: {fault}")
