"""Which stages the trials of a sweep share: a forest of stages by their hash in the stage store.

A hash covers the predecessor's, so stages with one hash lie at one place of one tree. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ray_compt.sweep.record import StageRecord, TrialRecord


@dataclass(frozen=True)
class SharedStage:
    """One node.

    Attributes:
        stage: the record of whoever trained it, else of who took it.
        trials: numbers of the trials whose chain goes through it.
        saved: MACs that those did not spend which took it from the store.
        children: the stages that follow it, in the order of their first trial.
    """

    stage: StageRecord
    trials: tuple[int, ...]
    saved: int
    children: tuple[SharedStage, ...]

    @property
    def paid(self) -> int:
        """MACs spent on it in this sweep; 0 where an earlier run had trained it."""
        return 0 if self.stage.reused else self.stage.macs


def forest(trials: Sequence[TrialRecord]) -> list[SharedStage]:
    """The roots, in the order of their first trial; stages whose hash is not known are left out with all after them."""
    return _nodes([(trial, _known(trial)) for trial in sorted(trials, key=lambda trial: trial.number)], 0)


def walk(roots: Sequence[SharedStage], depth: int = 0) -> Iterator[tuple[int, SharedStage]]:
    """Every node with its depth, a parent before its children."""
    for root in roots:
        yield depth, root
        yield from walk(root.children, depth + 1)


def _nodes(chains: Sequence[tuple[TrialRecord, Sequence[StageRecord]]], depth: int) -> list[SharedStage]:
    groups: dict[str, list[tuple[TrialRecord, Sequence[StageRecord]]]] = {}
    for trial, stages in chains:
        if depth < len(stages):
            groups.setdefault(stages[depth].key, []).append((trial, stages))
    return [_node(group, depth) for group in groups.values()]


def _node(group: Sequence[tuple[TrialRecord, Sequence[StageRecord]]], depth: int) -> SharedStage:
    records = [stages[depth] for _, stages in group]
    trained = [record for record in records if not record.reused]
    return SharedStage(
        # Of several that trained it, as one does after another was cut off, the furthest.
        max(trained or records, key=lambda record: record.macs),
        tuple(trial.number for trial, _ in group),
        sum(record.macs for record in records if record.reused),
        tuple(_nodes(group, depth + 1)),
    )


def _known(trial: TrialRecord) -> list[StageRecord]:
    found: list[StageRecord] = []
    for stage in trial.stages:
        if not stage.key:
            break
        found.append(stage)
    return found
