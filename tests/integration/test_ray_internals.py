"""Guards `train/ray_internals.py`: fails with a clear text when a new Ray moves what it builds on."""

from __future__ import annotations

import inspect

import pytest
from ray.train import FailureConfig, ScalingConfig
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2.api.exceptions import WorkerGroupError

from ray_compt.errors import TrainingError, UserError
from ray_compt.train.ray_internals import LegalSizes, StageTrainer, UserErrorsAreFinal, user_error

MOVED = "Ray's internals have changed: read ray_compt/train/ray_internals.py against the new Ray"


def test_the_hooks_that_we_override_still_exist() -> None:
    base = StageTrainer.__mro__[1]
    assert hasattr(base, "_create_default_callbacks"), MOVED
    parameters = inspect.signature(base._initialize_and_run_controller).parameters
    assert any(p.kind is p.VAR_KEYWORD for p in parameters.values()), MOVED
    assert hasattr(LegalSizes.__mro__[1], "_count_possible_workers"), MOVED
    source = inspect.getsource(inspect.getmodule(base.fit))
    for name in ("scaling_policy=", "failure_policy=", "PlacementGroupCleanerCallback()"):
        assert name in source, MOVED


def test_what_the_user_must_mend_is_not_tried_again() -> None:
    policy = UserErrorsAreFinal(FailureConfig(max_failures=3))
    mendable = WorkerGroupError("failed", {1: RuntimeError("gloo"), 0: UserError("bad", mend="good")})
    assert policy.make_decision(mendable) is FailureDecision.RAISE
    assert str(user_error(mendable)) == "bad\n  mend: good"
    accident = WorkerGroupError("failed", {0: RuntimeError("out of memory")})
    assert user_error(accident) is None
    assert policy.make_decision(accident) is FailureDecision.RETRY


def test_errors_survive_the_way_between_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(TrainingError("a", where="b", mend="c")))  # noqa: S301
    assert (type(error), str(error), error.exit_code) == (TrainingError, "b: a\n  mend: c", 1)


@pytest.mark.parametrize(("cpus", "workers"), [(1, 1), (3, 2), (4, 4), (7, 4), (64, 8)])
def test_an_elastic_group_takes_only_legal_sizes(cpus: int, workers: int) -> None:
    config = ScalingConfig(num_workers=(1, 16), resources_per_worker={"CPU": 1})
    policy = LegalSizes(config, frozenset({1, 2, 4, 8}))
    assert policy._count_possible_workers({"node": {"CPU": float(cpus)}}) == workers, MOVED
