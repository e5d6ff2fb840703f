"""Did a stage use its samples as planned? Its metrics.jsonl held against the order of samples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any

from ray_compt.data.planned import Plan
from ray_compt.storage import Place, read_lines
from ray_compt.train.metrics import NAME as METRICS

NAMED = 5


@dataclass(frozen=True, slots=True)
class StepLine:
    """What a line of metrics.jsonl says of its step.

    Attributes:
        step: from 1.
        digest: of the samples; None where an older version wrote the line.
        unreadable: samples that kept their place in the batch but could not be read.
        skipped: the update was left out, because the loss or the gradient was not finite.
    """

    step: int
    digest: str | None
    unreadable: int = 0
    skipped: bool = False


@dataclass(frozen=True)
class StepLines:
    """A stage's metrics.jsonl.

    Attributes:
        steps: its lines of steps, in the order of the file.
        broken: numbers of lines, from 1, that cannot be read.
        cut: the last line has no end: it is being written, or writing it was cut off.
    """

    steps: tuple[StepLine, ...] = ()
    broken: tuple[int, ...] = ()
    cut: bool = False


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        kind: missing, doubled, differs, unplanned, repeated, unreadable, ledger, checkpoint or export.
        what: the same for people, in one line.
        steps: first and last step, where steps are at fault.
        epochs: first and last epoch of these steps, counted from 0.
        samples: how many planned samples cannot be vouched for.
        first: SHARD/KEY of the first few of them.
    """

    kind: str
    what: str
    steps: tuple[int, int] | None = None
    epochs: tuple[int, int] | None = None
    samples: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True)
class SamplesReport:
    """What became of the planned samples of a stage.

    Attributes:
        planned_steps: of the whole stage.
        due_steps: that must have been recorded by now.
        right_steps: recorded once, with the samples planned for them.
        right_epochs: epochs that the stage plans whole, and of which every step is right.
        used: samples used in right steps, each counted once an epoch.
        unreadable: samples of right steps that kept their place in the batch but could not be read.
        skipped: samples of right steps that taught nothing, because the update was not finite and left out.
        dropped: samples that an epoch leaves out by plan, because they fill no batch.
        problems: what is wrong.
        unchecked: what cannot be said, for people.
    """

    planned_steps: int
    due_steps: int = 0
    right_steps: int = 0
    right_epochs: int = 0
    used: int = 0
    unreadable: int = 0
    skipped: int = 0
    dropped: int = 0
    problems: tuple[Problem, ...] = ()
    unchecked: tuple[str, ...] = ()


def read_steps(stage: Place) -> StepLines:
    """Read the metrics.jsonl in a stage's folder, line by line; empty where there is none."""
    steps, broken, whole = [], [], True
    for number, line in enumerate(read_lines(stage, METRICS), start=1):
        whole = line.endswith(b"\n")
        try:
            values = json.loads(line if whole else b"")
            if "evaluation" not in values:
                steps.append(_step_line(values))
        except (ValueError, KeyError, TypeError, AttributeError):
            broken.append(number)
    # The last line may be on its way.
    return StepLines(tuple(steps), tuple(broken if whole else broken[:-1]), cut=not whole)


def _step_line(values: dict[str, Any]) -> StepLine:
    unreadable, skipped = int(values.get("unreadable", 0)), bool(values.get("skipped"))
    return StepLine(int(values["step"]), values.get("digest"), unreadable, skipped)


def check_samples(lines: StepLines, plan: Plan, *, planned: int, due: int) -> SamplesReport:
    """Hold a stage's lines against its plan.

    Args:
        lines: what the stage recorded.
        plan: its order of samples.
        planned: steps of the whole stage.
        due: steps that must be on record; more may be.
    """
    recorded = max((line.step for line in lines.steps if line.step <= planned), default=0)
    return _Check(lines, plan, planned, min(max(due, recorded), planned)).report()


@dataclass
class _Check:
    lines: StepLines
    plan: Plan
    planned: int
    due: int
    wrong: dict[str, list[int]] = field(default_factory=dict)
    unknown: list[int] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)

    def report(self) -> SamplesReport:
        order = self.plan.order
        right = self._right_steps()
        per_epoch = Counter(self._place(step)[0] for step in right)
        readable = {line: order.global_batch - line.unreadable for line in right.values()}
        return SamplesReport(
            planned_steps=self.planned,
            due_steps=self.due,
            right_steps=len(right),
            right_epochs=sum(count == order.batches_per_epoch for count in per_epoch.values()),
            used=sum(count for line, count in readable.items() if not line.skipped),
            unreadable=sum(line.unreadable for line in readable),
            skipped=sum(count for line, count in readable.items() if line.skipped),
            dropped=order.samples - order.batches_per_epoch * order.global_batch,
            problems=(*self._broken_lines(), *self._step_problems(), *self._repeated(per_epoch)),
            unchecked=tuple(self._unchecked()),
        )

    def _right_steps(self) -> dict[int, StepLine]:
        """The lines of steps that are right; all other steps are sorted by what is wrong with them."""
        found: dict[int, list[StepLine]] = {}
        for line in self.lines.steps:
            found.setdefault(line.step, []).append(line)
        self.wrong["unplanned"] = sorted(step for step in found if not 1 <= step <= self.planned)
        right = {}
        for step in range(1, self.due + 1):
            recorded = found.get(step, [])
            if len(recorded) == 1 and self._is_right(recorded[0]):
                right[step] = recorded[0]
            elif len(recorded) != 1:
                self.wrong.setdefault("doubled" if recorded else "missing", []).append(step)
        return right

    def _is_right(self, line: StepLine) -> bool:
        epoch, batch = self._place(line.step)
        planned = self.plan.epoch(epoch).digest(batch)
        if line.digest is None:
            self.silent.append(line.step)
        elif planned is None:
            self.unknown.append(line.step)
        elif line.digest != planned:
            self.wrong.setdefault("differs", []).append(line.step)
        return planned is not None and line.digest == planned

    def _place(self, step: int) -> tuple[int, int]:
        """Epoch and batch of a step; steps are counted from 1, as in metrics.jsonl."""
        return divmod(step - 1, self.plan.order.batches_per_epoch)

    def _broken_lines(self) -> Iterator[Problem]:
        for number in self.lines.broken:
            yield Problem("unreadable", f"line {number} of metrics.jsonl cannot be read")

    def _step_problems(self) -> Iterator[Problem]:
        said = {
            "missing": "not on record",
            "doubled": "recorded more than once",
            "differs": "used other samples than planned",
        }
        for kind, words in said.items():
            for first, last in ranges(self.wrong.get(kind, [])):
                yield self._problem(kind, words, first, last)
        for first, last in ranges(self.wrong["unplanned"]):
            yield Problem("unplanned", f"{_steps(first, last)} of {self.planned} planned", (first, last))

    def _problem(self, kind: str, words: str, first: int, last: int) -> Problem:
        (epoch, batch), (last_epoch, _) = self._place(first), self._place(last)
        samples = (last - first + 1) * self.plan.order.global_batch
        names = tuple(self.plan.samples.name(int(number)) for number in self.plan.batch(epoch, batch)[:NAMED])
        where = f"epoch {epoch}" if epoch == last_epoch else f"epochs {epoch} to {last_epoch}"
        what = (
            f"{_steps(first, last)} {words}: {samples} samples of {where}, planned first {', '.join(names)}"
        )
        return Problem(kind, what, (first, last), (epoch, last_epoch), samples, names)

    def _repeated(self, epochs: Iterable[int]) -> Iterator[Problem]:
        order = self.plan.order
        for epoch in epochs:
            doubled = order.batches_per_epoch * order.global_batch - self.plan.epoch(epoch).distinct
            if doubled:
                yield Problem("repeated", f"the plan itself repeats {doubled} samples of epoch {epoch}")

    def _unchecked(self) -> Iterator[str]:
        for first, last in ranges(self.silent):
            yield f"{_steps(first, last)}: recorded without a digest of samples, by an older version"
        if self.unknown:
            shards = [f"{path}: {reason}" for path, reason in self.plan.samples.unknown.items()]
            listed = "; ".join(islice(shards, NAMED)) + "; ..." * (len(shards) > NAMED)
            yield f"{len(self.unknown)} steps: the keys of their samples are not known ({listed})"


def ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as runs (first, last) without a gap."""
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
    ]
    return [(run[0], run[-1]) for run in runs]


def _steps(first: int, last: int) -> str:
    return f"step {first}" if first == last else f"steps {first} to {last}"
