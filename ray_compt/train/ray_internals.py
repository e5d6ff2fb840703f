"""The only module that touches Ray Train's internals, those of Ray 2.60.

`tests/integration/test_ray_internals.py` fails when another Ray has moved them.

What it changes, and why:
- no PlacementGroupCleaner: it needs the dashboard's state API and warns each second without it;
- mistakes that the user must mend are not retried: trying again cannot help;
- an elastic worker group only takes sizes that divide the lanes and the global batch.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray.train import FailureConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2._internal.execution.scaling_policy import ElasticScalingPolicy
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from ray_compt.errors import UserError


class StageTrainer(TorchTrainer):
    """A TorchTrainer with the policies above.

    Args:
        legal_workers: worker counts that the stage can run with.
    """

    def __init__(self, *args: Any, legal_workers: Collection[int], **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._legal_workers = frozenset(legal_workers)

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [c for c in callbacks if not isinstance(c, PlacementGroupCleanerCallback)]

    def _initialize_and_run_controller(self, **kwargs: Any) -> Any:
        kwargs["failure_policy"] = UserErrorsAreFinal(self.run_config.failure_config)
        if self.scaling_config.elasticity_enabled:
            kwargs["scaling_policy"] = LegalSizes(self.scaling_config, self._legal_workers)
        return super()._initialize_and_run_controller(**kwargs)


class UserErrorsAreFinal(DefaultFailurePolicy):
    """Retries what Ray Train would retry, except for what only the user can mend."""

    def __init__(self, failure_config: FailureConfig):
        super().__init__(failure_config)

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        if user_error(training_failed_error) is not None:
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


class LegalSizes(ElasticScalingPolicy):
    """Rounds the possible number of workers down to a legal one."""

    def __init__(self, scaling_config: ScalingConfig, legal: frozenset[int]):
        super().__init__(scaling_config)
        self._legal = legal

    def _count_possible_workers(self, reserved_resources: Any) -> int:
        possible = super()._count_possible_workers(reserved_resources)
        return max((n for n in self._legal if n <= possible), default=0)


def user_error(error: BaseException) -> UserError | None:
    """The UserError behind what Ray Train raises, if there is one."""
    if isinstance(error, UserError):
        return error
    causes = list(error.worker_failures.values()) if isinstance(error, WorkerGroupError) else []
    causes += [
        getattr(error, name, None) for name in ("cause", "_base_exc", "controller_failure", "__cause__")
    ]
    for cause in causes:
        found = user_error(cause) if isinstance(cause, BaseException) else None
        if found is not None:
            return found
    return None
