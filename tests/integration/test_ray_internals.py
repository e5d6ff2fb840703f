"""Guards `train/ray_internals.py`: fails with a clear text when a new Ray moves what it builds on."""

from __future__ import annotations

import inspect
import pickle
import time
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import ray.data
from ray.data import ExecutionResources
from ray.train import FailureConfig, ScalingConfig
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.train.v2._internal.execution.failure_handling import FailureDecision
from ray.train.v2._internal.execution.scaling_policy import NoopDecision
from ray.train.v2._internal.execution.worker_group.state import WorkerGroupState
from ray.train.v2._internal.execution.worker_group.worker import ActorMetadata, Worker
from ray.train.v2.api.exceptions import WorkerGroupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ray_compt.data.ray_internals import RateBasedClusterAutoscaler, _whole_cluster
from ray_compt.errors import TrainingError, UserError
from ray_compt.report.board import start_board
from ray_compt.train.bad_steps import GoBack
from ray_compt.train.ray_internals import (
    ElasticPolicy,
    StageFailures,
    StageTrainer,
    cluster_state,
    failure_reason,
    user_error,
)
from ray_compt.train.scaling import STARVING_SHARE, ScalingRules

MOVED = "Ray's internals have changed: read ray_compt/train/ray_internals.py against the new Ray"


def test_the_hooks_that_we_override_still_exist() -> None:
    base = StageTrainer.__mro__[1]
    assert hasattr(base, "_create_default_callbacks"), MOVED
    parameters = inspect.signature(base._initialize_and_run_controller).parameters
    assert any(p.kind is p.VAR_KEYWORD for p in parameters.values()), MOVED
    source = inspect.getsource(inspect.getmodule(base.fit))
    for name in (
        "scaling_policy=",
        "failure_policy=",
        "PlacementGroupCleanerCallback()",
        "DatasetsCallback(",
    ):
        assert name in source, MOVED


def test_the_policy_finds_what_it_asks_ray_for() -> None:
    policy = ElasticPolicy.__mro__[1]
    for name in ("_maybe_send_resource_request", "_get_resize_decision"):
        assert hasattr(policy, name), MOVED
    for name in ("make_decision_for_non_running_worker_group", "make_decision_for_running_worker_group"):
        ours, theirs = getattr(ElasticPolicy, name), getattr(policy, name)
        assert inspect.signature(ours).parameters.keys() == inspect.signature(theirs).parameters.keys(), MOVED
    assert {"start_time", "workers"} <= WorkerGroupState.__dataclass_fields__.keys(), MOVED
    assert "metadata" in Worker.__dataclass_fields__, MOVED
    assert "node_id" in ActorMetadata.__dataclass_fields__, MOVED
    for name in ("get_draining_nodes", "available_resources_per_node"):
        assert hasattr(cluster_state, name), MOVED
    assert hasattr(ray._private.worker, "listen_error_messages"), MOVED
    assert "_spill_on_unavailable" in inspect.signature(NodeAffinitySchedulingStrategy).parameters, MOVED


def test_ray_data_asks_the_autoscaler_that_we_patch(own_ray: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ExecutionResources] = []

    def whole_cluster(autoscaler: RateBasedClusterAutoscaler) -> ExecutionResources:
        asked.append(_whole_cluster(autoscaler))
        return asked[-1]

    assert hasattr(RateBasedClusterAutoscaler, "get_total_resources"), MOVED
    monkeypatch.setattr(RateBasedClusterAutoscaler, "get_total_resources", whole_cluster)
    assert len(ray.data.range(8).map(lambda row: row).take_all()) == 8
    assert {resources.cpu for resources in asked} == {12}, MOVED


def _accident(text: str = "out of memory") -> WorkerGroupError:
    return WorkerGroupError("failed", {0: RuntimeError(text)})


def test_failures_are_counted_between_two_checkpoints(own_ray: str) -> None:
    board = start_board()
    policy = StageFailures(FailureConfig(max_failures=2), board)
    decisions = []
    for step in (10, 10, 20, 20, 20):
        ray.get(board.post.remote("checkpoint", {"step": step}), timeout=60)
        decisions.append(policy.make_decision(_accident()))
    assert decisions == [FailureDecision.RETRY] * 4 + [FailureDecision.RAISE]
    events = [
        event.values for event in ray.get(board.collect.remote(), timeout=30) if event.kind == "failure"
    ]
    assert [event["number"] for event in events] == [1, 2, 1, 2, 3]
    assert events[0]["reason"] == "worker 0: RuntimeError: out of memory"


def test_a_preempted_node_is_not_counted(own_ray: str) -> None:
    board = start_board()
    ray.get(board.collect.remote(), timeout=60)
    policy = StageFailures(FailureConfig(max_failures=0), board)
    death = ray.exceptions.ActorDiedError()
    death._preempted = True
    assert death.preempted, MOVED
    error = WorkerGroupError("failed", {0: _health(death)})
    assert [policy.make_decision(error) for _ in range(5)] == [FailureDecision.RETRY] * 5
    assert policy.make_decision(_accident()) is FailureDecision.RAISE


def _health(cause: Exception) -> WorkerHealthCheckFailedError:
    return WorkerHealthCheckFailedError("failed", failure=cause)


RULES = ScalingRules(
    legal=(8, 16),
    per_worker={"CPU": 1.0},
    reading_cpus=0.5,
    other_cpus=0.0,
    look_every_s=0.0,
    wait_s=60.0,
    pause_s=60.0,
)


def test_only_workers_that_take_no_step_are_replaced_early(
    own_ray: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen workers whose node has CPUs for eight and their readers: the others may have died with a node."""
    board = start_board()
    ray.get(board.collect.remote(), timeout=60)
    scaling = ScalingConfig(num_workers=(8, 16), resources_per_worker={"CPU": 1})
    policy = ElasticPolicy(scaling, RULES, board, "one")
    monkeypatch.setattr(policy, "_maybe_send_resource_request", lambda: None)
    here = SimpleNamespace(metadata=SimpleNamespace(node_id=ray.get_runtime_context().get_node_id()))
    group: Any = SimpleNamespace(workers=[here] * 16, num_workers=16, start_time=0.0)
    early = RULES.pause_s * STARVING_SHARE

    def count(now: float) -> int | None:
        """Of workers decided on then; None: no decision."""
        clock = SimpleNamespace(monotonic=lambda: now, time=time.time)
        monkeypatch.setattr("ray_compt.train.ray_internals.time", clock)
        decision = policy.make_decision_for_running_worker_group(group, None)  # type: ignore[arg-type]
        return None if isinstance(decision, NoopDecision) else decision.num_workers  # type: ignore[attr-defined]

    assert [count(now) for now in (100, 100 + early - 1, 100 + early + 1)] == [None, None, 8]

    assert count(200) is None
    number, request = ray.get(board.request.remote(), timeout=60)
    assert request == "pause"
    ray.get(board.begin.remote(number), timeout=60)
    late = 200 + RULES.pause_s
    assert [count(now) for now in (200 + early + 1, late - 1, late + 1)] == [None, None, 8]


def test_going_back_from_bad_steps_is_no_failure() -> None:
    policy = StageFailures(FailureConfig(max_failures=0), None)
    back = WorkerGroupError("failed", {0: GoBack("steps 1 to 3"), 1: RuntimeError("gloo")})
    assert [policy.make_decision(back) for _ in range(3)] == [FailureDecision.RETRY] * 3


def test_what_the_user_must_mend_is_not_tried_again() -> None:
    policy = StageFailures(FailureConfig(max_failures=3), None)
    mendable = WorkerGroupError("failed", {1: RuntimeError("gloo"), 0: UserError("bad", mend="good")})
    assert policy.make_decision(mendable) is FailureDecision.RAISE
    assert str(user_error(mendable)) == "bad\n  mend: good"
    assert user_error(_accident()) is None


def test_the_reason_names_the_worker_that_died_not_those_that_lost_it() -> None:
    died = _health(ray.exceptions.ActorDiedError())
    error = WorkerGroupError("failed", {0: RuntimeError("gloo: connection closed"), 1: died})
    assert failure_reason(error) == "worker 1: its process or node died"
    assert failure_reason(SimpleNamespace(controller_failure=ValueError("x\ny"))) == "ValueError: x"  # type: ignore[arg-type]


def test_errors_survive_the_way_between_processes() -> None:
    error: Any = pickle.loads(pickle.dumps(TrainingError("a", where="b", mend="c")))  # noqa: S301
    assert (type(error), str(error), error.exit_code) == (TrainingError, "b: a\n  mend: c", 1)
