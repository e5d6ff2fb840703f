"""The only module that touches Ray Train's internals, those of Ray 2.60.

`tests/integration/test_ray_internals.py` fails when another Ray has moved them.

What it changes, and why:
- no PlacementGroupCleaner: it needs the dashboard's state API and warns each second without it; no DatasetManager, a
  process for each group's start: our workers read for themselves;
- the number of workers follows what is really free, leaves nodes that are being drained, takes legal counts only,
  and changes after a checkpoint rather than in the middle of a step (`ElasticPolicy`);
- failures are counted between two checkpoints, not over a month, going back from bad steps is none, and what only
  the user can mend is not retried (`StageFailures`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import ray
from ray._private.state import state as cluster_state
from ray.train import ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks.datasets import DatasetsCallback
from ray.train.v2._internal.callbacks.placement_group_callback import PlacementGroupCleanerCallback
from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2._internal.execution.failure_handling.default import _is_preemption_failure
from ray.train.v2._internal.execution.scaling_policy import (
    ElasticScalingPolicy,
    NoopDecision,
    ScalingDecision,
)
from ray.train.v2._internal.execution.worker_group import WorkerGroupPollStatus, WorkerGroupState
from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

from ray_compt.errors import RefusedError, StorageError, TrainingError, UserError
from ray_compt.train.bad_steps import GoBack
from ray_compt.train.reachable import answering
from ray_compt.train.scaling import (
    Resources,
    ScalingRules,
    add,
    affordable,
    describe_room,
    limited,
    next_fewer,
    patience,
    without,
)

# Seconds for an answer of the board, which has nothing else to do.
BOARD_S = 5.0
# What dead workers held is free a moment after they are gone; fewer workers than the nodes can hold are not
# started before.
SETTLE_S = 2.0

Found = TypeVar("Found", bound=BaseException)


class StageTrainer(TorchTrainer):
    """A TorchTrainer with the policies above.

    Args:
        rules: what decides the number of workers.
        board: actor that carries requests to the workers.
        stage: name for messages.
        hang_s: time without an answer after which a worker counts as hung.
    """

    def __init__(self, *args: Any, rules: ScalingRules, board: Any, stage: str, hang_s: float, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._rules, self._board, self._stage, self._hang_s = rules, board, stage, hang_s

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()
        return [c for c in callbacks if not isinstance(c, (PlacementGroupCleanerCallback, DatasetsCallback))]

    def _initialize_and_run_controller(self, **kwargs: Any) -> Any:
        # The controller inherits this process's variables, the only way to reach its limit.
        os.environ["RAY_TRAIN_WORKER_HEALTH_CHECK_TIMEOUT_S"] = str(self._hang_s)
        kwargs["failure_policy"] = StageFailures(self.run_config.failure_config, self._board)
        kwargs["scaling_policy"] = ElasticPolicy(self.scaling_config, self._rules, self._board, self._stage)
        return super()._initialize_and_run_controller(**kwargs)


class ElasticPolicy(ElasticScalingPolicy):
    """Gives a stage as many workers as the rules and the cluster allow, and changes them at a checkpoint.

    A change of a running group takes three looks: the workers are asked to pause; they answer when their
    checkpoint is committed; then the group is replaced.
    """

    def __init__(self, scaling_config: ScalingConfig, rules: ScalingRules, board: Any, stage: str):
        super().__init__(scaling_config)
        self._rules, self._board, self._stage = rules, board, stage
        self._looked = float("-inf")
        self._idle_since: float | None = None
        self._short_since: float | None = None
        self._last_start: int | None = None
        self._pause: tuple[int, float] | None = None
        self._warned: set[str] = set()

    def make_decision_for_non_running_worker_group(self) -> ScalingDecision:
        self._maybe_send_resource_request()
        self._withdraw()
        now = time.monotonic()
        self._idle_since = self._idle_since or now
        waited = now - self._idle_since
        # A group that is placed by what a node has that has just died leaves no room for its readers.
        room = self._look(None, cluster_state.get_draining_nodes(), answering(ray.nodes()))
        count = room.workers
        if count < self._limited(affordable(room.whole, room.whole, self._rules)) and waited < SETTLE_S:
            return NoopDecision()
        if not count:
            if waited > self._rules.wait_s:
                raise self._no_room(room.free)
            return NoopDecision()
        if self._last_start is not None:
            # The last try could not be placed although it seemed to fit.
            count = min(count, next_fewer(self._last_start, self._rules))
        self._last_start = count
        return self._get_resize_decision(count)

    def make_decision_for_running_worker_group(
        self, worker_group_state: WorkerGroupState, worker_group_status: WorkerGroupPollStatus
    ) -> ScalingDecision:
        self._maybe_send_resource_request()
        self._idle_since = self._last_start = None
        if self._pause is not None:
            return self._finish_pause(worker_group_state)
        draining = cluster_state.get_draining_nodes()
        leaving = _leaving(worker_group_state, draining)
        now = time.monotonic()
        latest = max(worker_group_state.start_time, self._looked)
        if not leaving and now - latest < self._rules.look_every_s:
            return NoopDecision()
        self._looked = now
        room = self._look(worker_group_state, draining, ray.nodes())
        count = room.workers
        if leaving:
            return self._leave(leaving, count)
        self._check_room(room, now)
        if count and count != worker_group_state.num_workers:
            return self._begin_pause()
        return NoopDecision()

    def _check_room(self, room: _Room, now: float) -> None:
        """A group that lost its readers' room with a node would wait for its data for ever."""
        self._short_since = None if room.workers else (self._short_since or now)
        if self._short_since is not None and now - self._short_since > self._rules.wait_s:
            raise self._no_room(room.whole)

    def _leave(self, leaving: list[str], count: int) -> ScalingDecision:
        if count:
            return self._begin_pause()
        if not self._warned.issuperset(leaving):
            self._warned.update(leaving)
            # Nowhere to go: what is trained so far is saved before the node leaves.
            self._board.ask.remote("save")
        return NoopDecision()

    def _begin_pause(self) -> ScalingDecision:
        self._pause = (ray.get(self._board.ask.remote("pause"), timeout=BOARD_S), time.monotonic())
        return NoopDecision()

    def _finish_pause(self, group: WorkerGroupState) -> ScalingDecision:
        assert self._pause is not None
        number, since = self._pause
        waited = time.monotonic() - since
        draining = cluster_state.get_draining_nodes()
        leaving = _leaving(group, draining)
        begun, answered = ray.get(self._board.heard.remote(), timeout=BOARD_S)
        deadlines = [draining[node] / 1000 for node in leaving if draining[node]]
        room = self._look(group, draining, ray.nodes())
        starving = not leaving and begun < number and room.workers < group.num_workers
        limit = patience(self._rules.pause_s, deadlines, time.time(), starving=starving)
        if answered < number and waited < limit:
            return NoopDecision()
        count = room.workers or group.num_workers
        self._withdraw()
        reason = _reason(group.num_workers, count, leaving, sorted(draining))
        values = {"from": group.num_workers, "to": count, "reason": reason, "pause_s": round(waited, 3)}
        self._board.post.remote("resize", values)
        self._last_start = None
        return self._get_resize_decision(count)

    def _look(
        self, group: WorkerGroupState | None, draining: dict[str, int], nodes: Iterable[Mapping[str, Any]]
    ) -> _Room:
        room = _look(self._rules, group, draining, nodes)
        return replace(room, workers=self._limited(room.workers))

    def _limited(self, count: int) -> int:
        return limited(count, ray.get(self._board.most.remote(), timeout=BOARD_S), self._rules)

    def _withdraw(self) -> None:
        if self._pause is not None:
            self._pause = None
            ray.get(self._board.ask.remote(None), timeout=BOARD_S)

    def _no_room(self, free: dict[str, Resources]) -> TrainingError:
        return TrainingError(
            f"{describe_room(free, self._rules)} for {self._rules.wait_s:g} s; "
            f"workers.min needs {self._rules.fewest}",
            where=f"stage {self._stage}",
            mend="add nodes or lower workers.min; the same command goes on from the last checkpoint",
        )


@dataclass(frozen=True)
class _Room:
    """The nodes that live and are not being drained: what each has, what of it is free, and how many workers fit."""

    whole: dict[str, Resources]
    free: dict[str, Resources]
    workers: int


def _look(
    rules: ScalingRules,
    group: WorkerGroupState | None,
    draining: dict[str, int],
    nodes: Iterable[Mapping[str, Any]],
) -> _Room:
    """What there is now on those of `nodes` that are alive, the group's own workers counted as free."""
    whole = without({node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}, draining)
    available: dict[str, Resources] = cluster_state.available_resources_per_node()
    free = {node: resources for node, resources in available.items() if node in whole}
    for worker in group.workers if group else ():
        node = worker.metadata.node_id
        if node in whole:
            free[node] = add(free.get(node, {}), rules.per_worker)
    return _Room(whole, free, affordable(free, whole, rules))


def _leaving(group: WorkerGroupState, draining: dict[str, int]) -> list[str]:
    """The group's nodes that are being drained."""
    return sorted(draining.keys() & {worker.metadata.node_id for worker in group.workers})


def _reason(before: int, after: int, leaving: list[str], draining: list[str]) -> str:
    # A node without a worker of the group's may have held its readers.
    gone = leaving or (draining if after < before else [])
    if gone:
        return f"node {gone[0][:8]} is being drained"
    if after == before:
        return "the nodes changed for a moment"
    return "there is room for more" if after > before else "there is room for fewer"


class StageFailures(DefaultFailurePolicy):
    """Retries while there is progress: failures are counted since the last new checkpoint.

    A node that was drained or preempted is nobody's failure and not counted. What only the user can mend, and
    what Ray Train itself does not retry, ends the stage.
    """

    def __init__(self, failure_config: Any, board: Any):
        super().__init__(failure_config)
        self._board = board
        self._failures, self._saved = 0, -1

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        error = user_error(training_failed_error)
        passing = isinstance(error, StorageError) and not isinstance(error, RefusedError)
        if error is not None and not passing:
            return FailureDecision.RAISE
        if not self._is_retryable_error(training_failed_error):
            return FailureDecision.RAISE
        if _behind(training_failed_error, GoBack) is not None:
            return FailureDecision.RETRY
        saved = ray.get(self._board.saved.remote(), timeout=BOARD_S)
        if saved > self._saved:
            self._failures, self._saved = 0, saved
        counted = not _is_preemption_failure(training_failed_error)
        self._failures += counted
        allowed = self.failure_config.max_failures
        values = {
            "reason": failure_reason(training_failed_error),
            "number": self._failures,
            "allowed": allowed,
            "counted": counted,
        }
        self._board.post.remote("failure", values)
        return FailureDecision.RAISE if self._failures > allowed else FailureDecision.RETRY


def failure_reason(error: BaseException) -> str:
    """One clause for people: which workers, and the first line of what Ray says of them."""
    if isinstance(error, WorkerGroupError) and error.worker_failures:
        rank, cause = min(error.worker_failures.items(), key=lambda pair: _collateral(pair[1]))
        return f"worker {rank}: {_first_line(cause)}"
    return _first_line(getattr(error, "controller_failure", None) or error)


def _collateral(cause: BaseException) -> bool:
    """Whether a worker merely lost its partner: its collective broke off."""
    return isinstance(cause, RuntimeError) and not isinstance(cause, ray.exceptions.RayError)


def _first_line(error: BaseException) -> str:
    cause = getattr(error, "health_check_failure", None) or error
    if isinstance(cause, ray.exceptions.RayActorError):
        return "its process or node died"
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0][:200]}" if lines else type(cause).__name__


def user_error(error: BaseException) -> UserError | None:
    """The UserError behind what Ray Train raises, if there is one."""
    return _behind(error, UserError)


def _behind(error: BaseException, kind: type[Found]) -> Found | None:
    if isinstance(error, kind):
        return error
    causes = list(error.worker_failures.values()) if isinstance(error, WorkerGroupError) else []
    causes += [
        getattr(error, name, None) for name in ("cause", "_base_exc", "controller_failure", "__cause__")
    ]
    for cause in causes:
        found = _behind(cause, kind) if isinstance(cause, BaseException) else None
        if found is not None:
            return found
    return None
