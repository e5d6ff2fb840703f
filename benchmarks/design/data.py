"""The acceleration experiment's results as measurements: models alone, and stages of one recipe."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.acceleration.cell import GLOBAL_BATCH
from benchmarks.acceleration.grid import PAPER_WEIGHT
from benchmarks.acceleration.results import Result, Results, score
from ray_compt.plan.cost import FORWARDS_PER_TRAINED_SAMPLE
from ray_compt.plan.design import Measured, Observation, Stage

ALONE = {"growth": "scratch", "weight": 0.0}
# The stage as the product trains it; controls and settings differ in one of these.
STAGE = {"growth": "lossless", "weight": PAPER_WEIGHT}
COMMON = {"warmup": 1.0, "noise": None, "stop_at": 1.0, "decay": "none", "optimizer": "fresh"}


@dataclass(frozen=True)
class Training:
    """One result.

    Attributes:
        path: stages, first to last.
        seed: of all randomness.
        metric: mean of both ways of R@1, in [0, 1].
        before: the same of its predecessor; None for a first stage.
        macs: of all its stages, teachers included.
    """

    path: tuple[Stage, ...]
    seed: int
    metric: float
    before: float | None
    macs: float


def read_trainings(results: Results) -> list[Training]:
    """Every training of the recipe, each at the learning rate that did best."""
    lines = {line["name"]: line for line in results}
    best: dict[object, Training] = {}
    for line in lines.values():
        if not _of_recipe(line, lines):
            continue
        one = _training(line, lines)
        other = best.get((one.path, one.seed))
        if other is None or one.metric > other.metric:
            best[one.path, one.seed] = one
    return list(best.values())


def as_measured(results: Results, trainings: Iterable[Training]) -> Measured:
    """Trainings as `compt design` would read them from their runs, with the costs of all sizes."""
    forward: dict[str, float] = {}
    for line in results:
        trained = FORWARDS_PER_TRAINED_SAMPLE * line["steps"] * GLOBAL_BATCH
        forward.setdefault(line["cell"]["size"], (line["macs"] - line["teacher_macs"]) / trained)
    samples = {line["steps"] * GLOBAL_BATCH / line["cell"]["epochs"] for line in results}
    chosen = list(trainings)
    known = {stage.size for one in chosen for stage in one.path}
    return Measured(
        metric="R@1",
        forward={size: forward[size] for size in sorted(known, key=forward.__getitem__)},
        samples=max(samples),
        taught=1.0,
        observations=tuple(Observation(one.path, one.metric, one.before) for one in chosen),
    )


def _of_recipe(line: Result, lines: dict[str, Result]) -> bool:
    cell = line["cell"]
    source = cell["source"]
    wanted = COMMON | (STAGE if source else ALONE)
    if any(cell[key] != value for key, value in wanted.items()):
        return False
    return source is None or (source in lines and _of_recipe(lines[source], lines))


def _training(line: Result, lines: dict[str, Result]) -> Training:
    cell = line["cell"]
    before = _training(lines[cell["source"]], lines) if cell["source"] else None
    stage = Stage(cell["size"], cell["epochs"])
    return Training(
        path=(*before.path, stage) if before else (stage,),
        seed=cell["seed"],
        metric=score(line["metrics"]),
        before=before.metric if before else None,
        macs=line["macs"] + (before.macs if before else 0.0),
    )
