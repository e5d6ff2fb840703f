"""What finished trainings say about sizes: the stages that led to each, its cost and its metric.

`Finished` is one training as a ledger tells it; `measure` makes of many the `Measured` that curves are fitted to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ray_compt.errors import UserError

# The metric where none is named: the first of these that every training has.
USUAL_METRICS = ("zero_shot_top1", "image_to_text_r1", "text_to_image_r1")
# In metrics beside the fractions: how many samples were evaluated.
NO_METRICS = ("samples",)
# Forward MACs of one model differ by more only where its pictures, captions or configuration do.
SAME_COST = 0.02


@dataclass(frozen=True)
class Stage:
    """A model trained for a number of passes over the data.

    Attributes:
        size: name of the model.
        epochs: passes.
    """

    size: str
    epochs: float


Path = tuple[Stage, ...]


@dataclass(frozen=True)
class Finished:
    """One finished training.

    Attributes:
        path: the chain's stages, first to last; the training is that of the last.
        metrics: fractions by name, of its model.
        before: the same of its predecessor; empty for a first stage.
        forward: MACs of one forward pass of its model on one sample, all captions included.
        samples: that it trained on in one pass over the data.
        taught: share of its samples for which its predecessor's features were counted, in [0, 1].
        recipe: how it took over its predecessor; "scratch" for a first stage.
        data: digest of the training data; empty where it is not known.
        where: the run, for messages.
        name: of its stage.
    """

    path: Path
    metrics: dict[str, float]
    before: dict[str, float]
    forward: float
    samples: float
    taught: float
    recipe: str
    data: str
    where: str
    name: str = ""

    @property
    def size(self) -> str:
        return self.path[-1].size


@dataclass(frozen=True)
class Observation:
    """One measured training.

    Attributes:
        path: as `Finished.path`.
        metric: that it reached, in [0, 1].
        before: that of its predecessor; None for a first stage.
    """

    path: Path
    metric: float
    before: float | None = None


@dataclass(frozen=True)
class Measured:
    """All that curves and costs are drawn from.

    Attributes:
        metric: its name.
        forward: MACs of one forward pass on one sample by size, ascending.
        samples: of one pass over the data.
        taught: share of a stage's samples that cost a forward pass of its predecessor, in [0, 1].
        observations: measured trainings.
        notes: what was left out or mixed, a sentence each, for people.
    """

    metric: str
    forward: dict[str, float]
    samples: float
    taught: float
    observations: tuple[Observation, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def alone(self) -> tuple[Observation, ...]:
        return tuple(one for one in self.observations if one.before is None)

    @property
    def stages(self) -> tuple[Observation, ...]:
        return tuple(one for one in self.observations if one.before is not None)


def measure(finished: Sequence[Finished], metric: str | None = None) -> Measured:
    """Make comparable observations of trainings; equal ones, which a reused stage leaves in several runs, count once.

    Raises:
        UserError: there are none, none with the metric, a metric that is no fraction, or runs that differ in
            their data or in what a model costs.
    """
    if not finished:
        raise UserError(
            "no stage of these runs is finished and evaluated",
            where="compt design",
            mend="give runs with a finished stage",
        )
    name = metric or _usual_metric(finished)
    _check_metric(finished, name)
    _check_same_data(finished)
    kept, notes = _of_one_recipe(_distinct(one for one in finished if name in one.metrics))
    known = [one for one in kept if len(one.path) == 1 or name in one.before]
    if not known:
        raise UserError(f"no predecessor has {name}", where="--metric", mend=_one_of(metrics_of(finished)))
    longest = max(known, key=lambda one: one.path[-1].epochs)
    return Measured(
        metric=name,
        forward=_forward(known),
        samples=longest.samples,
        taught=_taught(known),
        observations=tuple(_observe(one, name) for one in known),
        notes=notes,
    )


def metrics_of(finished: Iterable[Finished]) -> list[str]:
    """Names of all metrics that any of the trainings has."""
    return sorted({name for one in finished for name in one.metrics} - set(NO_METRICS))


def _usual_metric(finished: Sequence[Finished]) -> str:
    shared = set(metrics_of(finished)).intersection(*(one.metrics for one in finished))
    found = next((name for name in USUAL_METRICS if name in shared), None)
    if found is None:
        raise UserError("which metric?", where="--metric", mend=_one_of(metrics_of(finished)))
    return found


def _check_metric(finished: Sequence[Finished], name: str) -> None:
    values = [one.metrics[name] for one in finished if name in one.metrics]
    if not values or name in NO_METRICS:
        raise UserError(
            f"no finished stage has the metric {name}", where="--metric", mend=_one_of(metrics_of(finished))
        )
    if not all(0 <= value <= 1 for value in values):
        raise UserError(
            f"{name} is no fraction: it lies between {min(values):.3g} and {max(values):.3g}",
            where="--metric",
            mend="design knows metrics in [0, 1] of which more is better; " + _one_of(metrics_of(finished)),
        )


def _check_same_data(finished: Sequence[Finished]) -> None:
    first = next((one for one in finished if one.data), None)
    other = next((one for one in finished if first and one.data not in ("", first.data)), None)
    if first and other:
        raise UserError(
            f"trained on other data than {first.where}",
            where=other.where,
            mend="give runs with the same training data: metrics and epochs of others do not compare",
        )


def _distinct(finished: Iterable[Finished]) -> list[Finished]:
    seen: dict[object, Finished] = {}
    for one in finished:
        seen.setdefault((one.path, tuple(sorted(one.metrics.items()))), one)
    return list(seen.values())


def _of_one_recipe(finished: Sequence[Finished]) -> tuple[list[Finished], tuple[str, ...]]:
    """Models alone, and the stages that were grown and taught as most of them; what that leaves out."""
    counts = Counter(one.recipe for one in finished if len(one.path) > 1)
    if len(counts) < 2:
        return list(finished), ()
    (usual, number), *_ = counts.most_common()
    kept = [one for one in finished if len(one.path) == 1 or one.recipe == usual]
    left_out = sum(counts.values()) - number
    return kept, (f"{left_out} stages that were not made by {usual} are left out.",)


def _forward(finished: Sequence[Finished]) -> dict[str, float]:
    found: dict[str, Finished] = {}
    for one in finished:
        if one.forward <= 0:
            raise UserError(f"no MACs are counted for {one.size}", where=one.where, mend="leave this run out")
        other = found.setdefault(one.size, one)
        if abs(one.forward / other.forward - 1) > SAME_COST:
            raise UserError(
                f"{one.size} costs {one.forward:.3g} MACs a sample here and {other.forward:.3g} in {other.where}",
                where=one.where,
                mend="give runs with the same picture size, captions and model configuration",
            )
    ascending = sorted(found.values(), key=lambda one: one.forward)
    return {one.size: one.forward for one in ascending}


def _taught(finished: Sequence[Finished]) -> float:
    """Of the middle stage; all samples where no stage is known, which is the most that a teacher costs."""
    shares = sorted(one.taught for one in finished if len(one.path) > 1)
    return shares[len(shares) // 2] if shares else 1.0


def _observe(one: Finished, name: str) -> Observation:
    return Observation(one.path, one.metrics[name], one.before[name] if len(one.path) > 1 else None)


def _one_of(names: Sequence[str]) -> str:
    return f"give one of {', '.join(names)}" if names else "evaluate the runs: set data.val"


def format_path(path: Path, labels: Mapping[str, str] | None = None) -> str:
    """For people: `S 160 -> M 20`, sizes as `labels` call them."""
    names = labels or {}
    return " -> ".join(f"{names.get(stage.size, stage.size)} {stage.epochs:g}" for stage in path)
