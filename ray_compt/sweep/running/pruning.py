"""Pruning that never breaks a stage off.

Stopping a trial of Ray Tune's kills its process; with a stage under way, what Ray Train has started for it would
stay (its placement group, for one), and the sweep hang. So the scheduler's wish is only noted on the board, the trial
sees it, its stage ends after a checkpoint at its next step, and the trial ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable
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
    config: PruneConfig, mode: str, costs: list[list[int]], prune: Callable[[int], None]
) -> TrialScheduler:
    """Ray Tune's scheduler for a sweep.

    Args:
        config: the sweep file's `prune`.
        mode: of the metric, "max" or "min".
        costs: of each known candidate the MACs of its stages, in units of 10^9. Rungs lie between the cheapest first
            stage, or within stages a tenth of it, and the dearest chain.
        prune: called with the candidate of a trial that is to end.
    """
    if config.scheduler == "none":
        return FIFOScheduler()
    first = min(stages[0] for stages in costs)
    longest = max(1, *(sum(stages) for stages in costs))
    grace = max(1, first // 10 if config.within_stage else first)
    inner = ASHAScheduler(
        time_attr=COST,
        metric=SCORE,
        mode="min" if config.within_stage else mode,
        grace_period=min(grace, longest),
        max_t=longest,
        reduction_factor=config.reduction,
        brackets=BRACKETS[config.scheduler],
        stop_last_trials=False,
    )
    return GracefulPruning(inner, prune)
