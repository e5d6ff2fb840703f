"""A checked sweep: its compositions and parameters, and the candidate of any of their combinations. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ray_compt.config.schema import Chain
from ray_compt.config.sweep_file import LoadedSweep
from ray_compt.config.sweep_keys import Sweep
from ray_compt.errors import UserError
from ray_compt.report.terminal import plural
from ray_compt.sweep.base import Base, Composition
from ray_compt.sweep.candidate import Axis, Candidate, build_chain, candidate_key, label_of, read_values
from ray_compt.sweep.models import Models
from ray_compt.sweep.space import Parameter, Values, grid, grid_size, sample

# Draws in a row that bring nothing new, after which a space counts as exhausted.
MOST_REPEATS = 1_000


class Ungrowable(UserError):
    """A candidate with a pair that its growth refuses, where such are left out."""


@dataclass(frozen=True)
class Candidates:
    """Candidates that are known beforehand: a grid's, or random ones.

    Attributes:
        candidates: each once.
        notes: what was left out, and why; for people.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SweepPlan:
    """What a sweep searches. `check_sweep` makes it.

    Attributes:
        loaded: the sweep file.
        base: the base chain.
        axes: the space's keys.
        compositions: legal chains.
        models: their sizes and growth.
        notes: what the composition has left out, and why; for people.
    """

    loaded: LoadedSweep
    base: Base
    axes: tuple[Axis, ...]
    compositions: tuple[Composition, ...]
    models: Models
    notes: tuple[str, ...] = ()

    @property
    def sweep(self) -> Sweep:
        return self.loaded.sweep

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that have more than one value, for samplers; compositions are not among them."""
        return tuple(axis.parameter for axis in self.axes if axis.parameter.varied)

    @property
    def size(self) -> int | None:
        """Number of different candidates; None where a parameter is continuous."""
        sizes = [grid_size(self._read_by(composition)) for composition in self.compositions]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def candidate(self, composition: Composition, values: Mapping[str, Any]) -> Candidate:
        """The candidate of a composition and a value for each of `parameters`.

        Raises:
            Ungrowable: its growth refuses a pair, and such candidates are left out.
            UserError: values that do not go together, at the line of the sweep file that has one of them.
        """
        asked = {**self._first, **values}
        chain, _ = build_chain(self.loaded, self.base, self.axes, composition, asked)
        refused: dict[int, str] = {}
        composed = self.sweep.chains is not None
        for position, (small, large) in enumerate(pairwise(composition.stages), start=1):
            growth = chain.stages[position].transfer.growth
            reason = ungrown(self.models, small, large, growth, composed=composed)
            if reason:
                names = self.base.names
                refused[position] = (
                    f"{names[large]} cannot be grown from {names[small]} by {growth} ({reason})"
                )
        if refused:
            self._check_allowed(next(iter(refused.values())))
            chain, _ = build_chain(
                self.loaded, self.base, self.axes, composition, asked, random_growth=list(refused)
            )
        read = read_values(self.axes, composition, asked)
        return Candidate(
            composition=composition,
            stages=tuple(stage.name for stage in chain.stages),
            values={**read, **self.base.own_epochs(composition)},
            label=label_of(self.base, self.axes, composition, read, composed=composed),
            chain=chain,
            notes=tuple(f"{reason}: feature space only" for reason in refused.values()),
        )

    def recall(self, stages: Sequence[str], values: Mapping[str, Any]) -> Candidate:
        """The candidate that an earlier start of the sweep has put on record.

        Args:
            stages: as `Candidate.stages`.
            values: as `Candidate.values`.

        Raises:
            UserError: the sweep has no such chain any more.
        """
        fitting = [
            composition
            for composition in self.compositions
            if self.base.stage_names(composition) == tuple(stages)
            and self.base.own_epochs(composition).items() <= values.items()
        ]
        if not fitting:
            raise UserError(
                f"the sweep has trained a chain {' → '.join(stages)}, which this base chain does not make any more",
                where=str(self.loaded.chain_file),
                mend="undo the change, or give another --run-dir",
            )
        # A chain that is also listed without epochs fits whatever they are.
        return self.candidate(max(fitting, key=lambda one: one.epochs is not None), values)

    def outline(self, composition: Composition, values: Mapping[str, Any] | None = None) -> Chain:
        """A composition's chain whether or not it can be grown, for its costs; with the first value of every other key.

        Raises:
            UserError: values that do not go together.
        """
        asked = {**self._first, **(values or {})}
        return build_chain(self.loaded, self.base, self.axes, composition, asked)[0]

    def candidates(self) -> Candidates:
        """All candidates of a grid or of a random search, a pure function of the sweep.

        Of a grid that has more than `search.trials`, as many are drawn. The first random ones are the same whatever
        their number.

        Raises:
            UserError: values that do not go together, or nothing that can be grown.
        """
        search = self.sweep.search
        random = np.random.default_rng(search.seed)
        if search.algorithm == "grid":
            points = list(self._grid())
            if search.trials is not None and search.trials < len(points):
                points = [points[int(number)] for number in random.permutation(len(points))]
            return self._build(iter(points), search.trials)
        return self._build(self._random(random), search.trials)

    def _check_allowed(self, reason: str) -> None:
        chains = self.sweep.chains
        if chains is None or chains.ungrowable != "feature_space":
            raise Ungrowable(
                reason,
                where=self.loaded.place("chains", "ungrowable"),
                mend="choose another growth, or write ungrowable: feature_space",
            )

    def _build(self, points: Iterator[tuple[Composition, Values]], most: int | None) -> Candidates:
        found: list[Candidate] = []
        left_out: dict[str, int] = {}
        for composition, values in points:
            if most is not None and len(found) == most:
                break
            try:
                found.append(self.candidate(composition, values))
            except Ungrowable as error:
                left_out[error.message] = left_out.get(error.message, 0) + 1
        notes = tuple(
            f"{reason}: {plural(count, 'candidate')} left out" for reason, count in left_out.items()
        )
        if not found:
            raise UserError(
                "\n".join(["no candidate is left", *(f"  {note}" for note in notes)]),
                where=self.loaded.place("space"),
                mend="choose another growth, or write ungrowable: feature_space",
            )
        return Candidates(tuple(found), notes)

    def _grid(self) -> Iterator[tuple[Composition, Values]]:
        for composition in self.compositions:
            for values in grid(self._read_by(composition)):
                yield composition, values

    def _random(self, random: np.random.Generator) -> Iterator[tuple[Composition, Values]]:
        """Different points without end, or until there are no more."""
        seen: set[str] = set()
        repeats = 0
        while repeats < MOST_REPEATS and len(seen) != self.size:
            composition = self.compositions[int(random.integers(len(self.compositions)))]
            values = read_values(self.axes, composition, sample(self._all, random))
            key = candidate_key(composition, values)
            repeats = repeats + 1 if key in seen else 0
            if not repeats:
                seen.add(key)
                yield composition, values

    @property
    def _first(self) -> Values:
        return {axis.parameter.key: axis.parameter.extremes()[0] for axis in self.axes}

    @property
    def _all(self) -> tuple[Parameter, ...]:
        return tuple(axis.parameter for axis in self.axes)

    def _read_by(self, composition: Composition) -> tuple[Parameter, ...]:
        return tuple(axis.parameter for axis in self.axes if axis.target.paths(composition))


def ungrown(models: Models, small: int, large: int, growth: str, *, composed: bool) -> str | None:
    """Why growth refuses a pair; None where it does not, or where random weights were asked for.

    Args:
        models: of the base chain.
        small, large: two of its stages.
        growth: as the chain file has it.
        composed: whether the sweep chooses the pairs. In the base chain as it is, auto falls back by itself.
    """
    if growth == "random" or (growth == "auto" and not composed):
        return None
    return models.ungrowable(small, large, growth)
