"""From the time of a step to the hours and the money of a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.cluster_file import ClusterFile
from ray_compt.plan.cluster.layout import Layout
from ray_compt.plan.cluster.preemption import NONE, Preemptions
from ray_compt.plan.cluster.step import StepTime

# Weights and two moments in float32, of a parameter.
CHECKPOINT_BYTES = 12
HOUR = 3600.0


@dataclass(frozen=True)
class Training:
    """One model's training on a cluster.

    Attributes:
        step: of one step, with teachers where they teach.
        steps: optimizer steps.
        hours: start, checkpoints, evaluation and expected preemptions included.
        lost_hours: of these, for preemptions.
        dollars: for these hours.
    """

    step: StepTime
    steps: int
    hours: float
    lost_hours: float
    dollars: float

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "step": self.step.to_json()}


@dataclass(frozen=True)
class Steps:
    """The steps of a training.

    Attributes:
        taught, plain: time of one with and without teachers.
        number: of all.
        teacher_steps: leading ones with teachers.
        between_checkpoints: steps.
        parameters: of the model.
    """

    taught: StepTime
    plain: StepTime
    number: int
    teacher_steps: int
    between_checkpoints: int
    parameters: int

    @property
    def seconds(self) -> float:
        rest = self.number - self.teacher_steps
        return self.teacher_steps * self.taught.total + rest * self.plain.total


def train_on(steps: Steps, layout: Layout, cluster: ClusterFile, given: Assumptions) -> Training:
    """Steps on nodes: a start, checkpoints in between that training waits for, and nodes that are taken away."""
    saved = steps.number // steps.between_checkpoints
    saving = saved * CHECKPOINT_BYTES * steps.parameters / given.checkpoint_bytes_s
    undisturbed = (steps.seconds + saving + given.stage_start_s) / HOUR
    hours = undisturbed * _preemptions(steps, layout, given).slowdown
    first = steps.taught if steps.teacher_steps else steps.plain
    return Training(first, steps.number, hours, hours - undisturbed, hours * layout.price(cluster))


def _preemptions(steps: Steps, layout: Layout, given: Assumptions) -> Preemptions:
    if not layout.node_type.spot:
        return NONE
    slowest = max(steps.taught.total, steps.plain.total)
    interval = min(steps.between_checkpoints * slowest, steps.seconds)
    return Preemptions(given.preemptions_per_hour * layout.nodes, given.noticed, given.restart_s, interval)
