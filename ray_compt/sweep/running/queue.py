"""Which candidate is next: those of a list, or what a sampler of Optuna's makes of the ones that have ended.

A candidate's number is its place in the queue, from 0. Nothing here knows of Ray.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from ray_compt.config.distributions import Choice, Distribution, Integer, Real
from ray_compt.errors import UserError
from ray_compt.report.terminal import plural
from ray_compt.sweep.base import Composition
from ray_compt.sweep.candidate import Candidate, candidate_key, read_values
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.running.values import Outcome
from ray_compt.sweep.space import Parameter, Values

if TYPE_CHECKING:
    import optuna

COMPOSITION = "chain"
# Proposals in a row that are passed over, after which nothing more is tried.
MOST_PASSED_OVER = 300


# A candidate of an earlier start with what it came to; None: it goes on.
Known = tuple[Candidate, Outcome | None]


class Queue(Protocol):
    """Candidates, one after the other, each once."""

    def next(self) -> Candidate | None:
        """The next candidate; None where there is none."""

    def tell(self, number: int, outcome: Outcome) -> None:
        """Say what a candidate has come to, by its number."""

    @property
    def notes(self) -> list[str]:
        """What was left out, and why; for people."""


class Listed:
    """Candidates that are known beforehand.

    Args:
        candidates: all of them.
        known: those of earlier starts, which do not come again, wherever they stand in the list.
    """

    def __init__(self, candidates: Sequence[Candidate], known: Sequence[Candidate] = ()):
        begun = {candidate.key for candidate in known}
        self._left = [candidate for candidate in candidates if candidate.key not in begun]
        self._left.reverse()

    def __len__(self) -> int:
        return len(self._left)

    def next(self) -> Candidate | None:
        return self._left.pop() if self._left else None

    def tell(self, number: int, outcome: Outcome) -> None:
        pass

    @property
    def notes(self) -> list[str]:
        return []


class Sampled:
    """Candidates that Optuna proposes; what it proposes a second time, or what growth refuses, is passed over.

    Args:
        plan: of the sweep.
        directions: "maximize" or "minimize" of each value of an outcome.
        count: of candidates, those of `known` included.
        known: candidates of earlier starts; their numbers come first.

    Attributes:
        study: Optuna's.
    """

    def __init__(self, plan: SweepPlan, directions: Sequence[str], count: int, known: Sequence[Known] = ()):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan, self._count = plan, count
        self._distributions = _distributions(plan)
        self.study = optuna.create_study(
            directions=list(directions), sampler=_sampler(plan, started=len(known))
        )
        self._asked: dict[int, optuna.trial.Trial] = {}
        self._seen = {candidate.key for candidate, _ in known}
        self._refused: Counter[str] = Counter()
        self._given = len(known)
        for number, (candidate, outcome) in enumerate(known):
            self._remember(number, candidate, outcome)

    @property
    def notes(self) -> list[str]:
        return [f"{reason}: {plural(count, 'candidate')} left out" for reason, count in self._refused.items()]

    def next(self) -> Candidate | None:
        if self._given >= self._count or len(self._seen) == self._plan.size:
            return None
        for _ in range(MOST_PASSED_OVER):
            trial = self.study.ask(self._distributions)
            candidate = self._fresh(*self._meant(trial.params))
            if candidate is None:
                self.study.tell(trial, state=_state("FAIL"))
                continue
            self._asked[self._given] = trial
            self._given += 1
            return candidate
        return None

    def tell(self, number: int, outcome: Outcome) -> None:
        trial = self._asked.pop(number, None)
        if trial is None:
            return
        if outcome.values is not None:
            self.study.tell(trial, list(outcome.values))
        else:
            self.study.tell(trial, state=_state("PRUNED" if outcome.pruned else "FAIL"))

    def _meant(self, params: Mapping[str, Any]) -> tuple[Composition, Values]:
        """The composition and the values of the space's keys that Optuna means."""
        composition = self._plan.compositions[params.get(COMPOSITION, 0)]
        values = {axis.parameter.key: axis.parameter.extremes()[0] for axis in self._plan.axes}
        for parameter in self._plan.parameters:
            values[parameter.key] = _meant(parameter, params[parameter.key])
        return composition, values

    def _fresh(self, composition: Composition, values: Values) -> Candidate | None:
        """The candidate, the first time that it is asked for, and unless its values do not go together."""
        read = read_values(self._plan.axes, composition, values)
        key = candidate_key(composition, {**read, **self._plan.base.own_epochs(composition)})
        if key in self._seen:
            return None
        self._seen.add(key)
        try:
            return self._plan.candidate(composition, values)
        except UserError as error:
            self._refused[error.message] += 1
            return None

    def _remember(self, number: int, candidate: Candidate, outcome: Outcome | None) -> None:
        """Ask for a candidate of an earlier start. What its chain does not read, it does not have: Optuna draws it."""
        params: dict[str, Any] = {}
        if COMPOSITION in self._distributions:
            params[COMPOSITION] = self._plan.compositions.index(candidate.composition)
        for parameter in self._plan.parameters:
            if parameter.key in candidate.values:
                params[parameter.key] = _coded(parameter, candidate.values[parameter.key])
        self.study.enqueue_trial(params)
        self._asked[number] = self.study.ask(self._distributions)
        if outcome is not None:
            self.tell(number, outcome)


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
