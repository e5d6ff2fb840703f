"""Which candidate is next: those of a list, or what a sampler of Optuna's makes of the ones that have ended.

A candidate's number is its place in the queue, from 0. Nothing here knows of Ray.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ray_compt.config.distributions import Choice, Distribution, Integer, Real
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.plan import SweepPlan, Ungrowable
from ray_compt.sweep.space import Parameter

if TYPE_CHECKING:
    import optuna

COMPOSITION = "chain"
# Suggestions in a row that growth refuses, after which nothing more is tried.
MOST_REFUSED = 1_000


class Queue(Protocol):
    """Candidates, one after the other."""

    def next(self) -> Candidate | None:
        """The next candidate; None where there is none."""

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Say what a candidate of `next` reached, by its number; None: nothing that can be compared."""


class Listed:
    """Candidates that are known beforehand."""

    def __init__(self, candidates: Sequence[Candidate]):
        self._candidates = list(candidates)
        self._next = 0

    def next(self) -> Candidate | None:
        if self._next == len(self._candidates):
            return None
        self._next += 1
        return self._candidates[self._next - 1]

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        pass


class Sampled:
    """Candidates that Optuna proposes.

    Args:
        plan: of the sweep.
        directions: "maximize" or "minimize" of each value that `tell` gets.
        count: of candidates, those of `known` included.
        known: candidates of earlier starts, with what they reached where they have ended; their numbers come first.
    """

    def __init__(
        self,
        plan: SweepPlan,
        directions: Sequence[str],
        count: int,
        known: Sequence[tuple[Candidate, Sequence[float] | None]] = (),
    ):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan, self._count = plan, count
        self._distributions = _distributions(plan)
        self._study = optuna.create_study(
            directions=list(directions), sampler=_sampler(plan, started=len(known))
        )
        self._asked: dict[int, optuna.trial.Trial] = {}
        self._given = len(known)
        for candidate, values in known:
            if values is not None:
                self._add(candidate, values)

    def next(self) -> Candidate | None:
        if self._given >= self._count:
            return None
        for _ in range(MOST_REFUSED):
            trial = self._study.ask(self._distributions)
            try:
                candidate = self._candidate(trial.params)
            except Ungrowable:
                self._study.tell(trial, state=_state("FAIL"))
                continue
            self._asked[self._given] = trial
            self._given += 1
            return candidate
        return None

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        trial = self._asked.pop(number, None)
        if trial is None:
            return
        if values is None:
            self._study.tell(trial, state=_state("FAIL"))
        else:
            self._study.tell(trial, list(values))

    def _candidate(self, params: Mapping[str, Any]) -> Candidate:
        values = dict(params)
        composition = self._plan.compositions[values.pop(COMPOSITION, 0)]
        plain = {parameter.key: parameter for parameter in self._plan.parameters}
        return self._plan.candidate(
            composition, {key: _meant(plain[key], value) for key, value in values.items()}
        )

    def _add(self, candidate: Candidate, values: Sequence[float]) -> None:
        """A candidate of an earlier start. What its chain does not read, it does not have, so that Optuna draws it."""
        import optuna

        params: dict[str, Any] = {}
        if COMPOSITION in self._distributions:
            params[COMPOSITION] = self._plan.compositions.index(candidate.composition)
        for parameter in self._plan.parameters:
            if parameter.key in candidate.values:
                params[parameter.key] = _coded(parameter, candidate.values[parameter.key])
        distributions = {key: self._distributions[key] for key in params}
        self._study.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, values=list(values))
        )


def _state(name: str) -> Any:
    import optuna

    return optuna.trial.TrialState[name]


def _sampler(plan: SweepPlan, started: int) -> Any:
    import optuna

    search = plan.sweep.search
    # After a new start the same seed would propose the same again.
    seed = (search.seed + started) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if search.algorithm == "nsga2":
            return optuna.samplers.NSGAIISampler(
                seed=seed, population_size=max(4, (search.trials or 20) // 4)
            )
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True, n_startup_trials=5)


def _distributions(plan: SweepPlan) -> dict[str, optuna.distributions.BaseDistribution]:
    import optuna

    found: dict[str, Any] = {parameter.key: _distribution(parameter) for parameter in plan.parameters}
    if len(plan.compositions) > 1:
        found[COMPOSITION] = optuna.distributions.CategoricalDistribution(range(len(plan.compositions)))
    return found


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    import optuna

    distribution: Distribution = parameter.distribution
    match distribution:
        case Real(low, high, log):
            return optuna.distributions.FloatDistribution(low, high, log=log)
        case Integer(low, high):
            return optuna.distributions.IntDistribution(low, high)
    # By place, since Optuna's choices must be plain scalars.
    return optuna.distributions.CategoricalDistribution(range(len(parameter.values())))


def _meant(parameter: Parameter, value: Any) -> Any:
    return parameter.values()[value] if isinstance(parameter.distribution, Choice) else value


def _coded(parameter: Parameter, value: Any) -> Any:
    return list(parameter.values()).index(value) if isinstance(parameter.distribution, Choice) else value
