"""Pruning that never breaks a stage off.

Stopping a trial of Ray Tune's kills its process; with a stage under way, what Ray Train has started for it would
stay (its placement group, for one), and the sweep hang. So the scheduler's wish is only noted on the board, the trial
sees it, its stage ends after a checkpoint at its next step, and the trial ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, TrialScheduler

from ray_compt.config.sweep_keys import PruneConfig
from ray_compt.sweep.running.trial import COST, SCORE

# Of asynchronous HyperBand: with several, some trials are judged late.
BRACKETS = {"asha": 1, "hyperband": 3}


class GracefulPruning(FIFOScheduler):
    """Another scheduler's decisions, carried out by the trials themselves.

    Args:
        inner: decides.
        prune: called with the candidate of a trial that is to end, once.
    """

    def __init__(self, inner: TrialScheduler, prune: Callable[[int], None]):
        super().__init__()
        self._inner, self._prune = inner, prune
        self._ending: set[str] = set()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_error(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if trial.trial_id not in self._ending:
            decision = self._inner.on_trial_result(tune_controller, trial, result)
            if decision == TrialScheduler.STOP:
                self._ending.add(trial.trial_id)
                self._prune(trial.config["job"].candidate)
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        self._inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        self._inner.on_trial_remove(tune_controller, trial)

    def debug_string(self) -> str:
        return self._inner.debug_string()


def make_scheduler(
    config: PruneConfig,
    mode: str,
    costs: Sequence[Sequence[float]],
    prune: Callable[[int], None],
    history: Sequence[Sequence[Mapping[str, float]]] = (),
) -> TrialScheduler:
    """Ray Tune's scheduler for a sweep.

    Args:
        config: the sweep file's `prune`.
        mode: of the metric, "max" or "min".
        costs: of chains that stand for the sweep's the 10^9 MACs up to the end of each stage. Rungs lie between the
            cheapest first stage, or within stages a tenth of it, and the dearest chain.
        prune: called with the candidate of a trial that is to end.
        history: what candidates that ended before this start had reported, in its order; others are held against it.
    """
    if config.scheduler == "none":
        return FIFOScheduler()
    first, longest = min(stages[0] for stages in costs), max(stages[-1] for stages in costs)
    inner = ASHAScheduler(
        time_attr=COST,
        metric=SCORE,
        mode="min" if config.within_stage else mode,
        grace_period=first / 10 if config.within_stage else first,
        max_t=longest,
        reduction_factor=config.reduction,
        brackets=BRACKETS[config.scheduler],
        stop_last_trials=False,
    )
    for number, reports in enumerate(history):
        past = _Past(f"past-{number}")
        inner.on_trial_add(None, past)
        for report in reports:
            inner.on_trial_result(None, past, dict(report))
    return GracefulPruning(inner, prune)


@dataclass(frozen=True)
class _Past:
    """A trial of an earlier start, as far as a scheduler looks at it."""

    trial_id: str
