"""Time of one optimizer step on a number of workers, part by part.

What is taken to overlap, and what not:

- the exchange of features and the loss stand between forward and backward pass, so they hide behind nothing;
- gradients are reduced after the backward pass; with DeepSpeed's `overlap_comm` behind it, which is two thirds of the
  compute. The all-gather of updated weights hides behind nothing;
- a teacher inside the workers adds its forward pass; a service computes one batch ahead, so only a slower one counts;
- readers work all the time; they hold a step up only where threads or network do not suffice.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.collectives import Ring
from ray_compt.plan.cluster.devices import Device, Precision
from ray_compt.plan.cluster.loader import LoaderNeed
from ray_compt.plan.cluster.rate import Rate

BACKWARD = 2 / 3
# The loss of a worker's n rows: logits forward, and the gradients of both their factors.
LOSS_PRODUCTS = 3
# Times that logits are written to or read from memory: product, mask, log-softmax and their gradients.
LOGIT_PASSES = 10


@dataclass(frozen=True)
class Work:
    """What one step of a stage computes and sends, over all workers.

    Attributes:
        batch: samples.
        captions: a picture (K).
        embed_dim: width of the features (E).
        parameters: of the model.
        student: FLOPs of training on one sample, repeated forward passes included.
        teacher: FLOPs of one forward pass of all its teachers on one sample; 0 without any.
        precision, teacher_precision: of the arithmetic.
        zero_stage: DeepSpeed's.
        overlap: whether gradients are reduced behind the backward pass.
    """

    batch: int
    captions: int
    embed_dim: int
    parameters: int
    student: float
    teacher: float
    precision: Precision
    teacher_precision: Precision
    zero_stage: int
    overlap: bool


@dataclass(frozen=True)
class Place:
    """Where it is computed.

    Attributes:
        device: of workers and teachers.
        amount: devices of one worker (GPUs, or vCPUs).
        ring: the workers' connections.
        per_node: most workers on one node.
        node_threads: hardware threads of a node.
        node_network: bytes/s of a node.
        services: devices of the teachers' service; 0 where each worker computes the features itself.
    """

    device: Device
    amount: float
    ring: Ring
    per_node: int
    node_threads: float
    node_network: float
    services: float = 0.0

    @property
    def workers(self) -> int:
        return self.ring.workers


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step, by what they go to.

    Attributes:
        compute: forward and backward passes and the optimizer.
        loss: the contrastive loss of a worker's rows.
        features: their all-gather, and the all-reduce of their gradients.
        gradients: exchange of gradients and weights, as far as nothing hides it.
        teacher: forward passes inside the workers.
        wait_teacher: for a service that is slower than all this.
        wait_data: for readers that are.
    """

    compute: float
    loss: float
    features: float
    gradients: float
    teacher: float
    wait_teacher: float
    wait_data: float

    @property
    def total(self) -> float:
        return float(sum(asdict(self).values()))

    @property
    def bottleneck(self) -> str:
        """The part that takes longest besides computing; `compute` where that takes more than all others."""
        others = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "compute"}
        largest = max(others, key=lambda name: others[name])
        return "compute" if self.compute >= sum(others.values()) else largest.replace("wait_", "")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "total": self.total, "bottleneck": self.bottleneck}


def step_time(
    work: Work, place: Place, rate: Rate, teacher_rate: Rate, reader: LoaderNeed, given: Assumptions
) -> StepTime:
    """One step, teachers included.

    Args:
        work: of the step.
        place: where.
        rate, teacher_rate: of the worker's device for the student and for teachers.
        reader: its `cpu_s` and `bytes` of a sample count.
        given: assumptions.

    Raises:
        UserError: the device does not compute in a precision of the work.
    """
    share = work.batch / place.workers
    compute = rate.seconds(share * work.student / (place.device.rate(work.precision) * place.amount))
    loss = loss_seconds(work, place, given.usual_rate(place.device, "fp32").share)
    features = feature_seconds(work, place.ring)
    gradients = gradient_seconds(work, place.ring, compute)
    teacher = served = 0.0
    if work.teacher:
        peak = place.device.rate(work.teacher_precision) * teacher_rate.share
        if place.services:
            served = work.batch * work.teacher / (peak * place.services)
        else:
            teacher = share * work.teacher / (peak * place.amount)
    busy = compute + loss + features + gradients + teacher
    wait_teacher = max(0.0, served - busy)
    read = _reading_seconds(work, place, reader, busy, given)
    return StepTime(
        compute, loss, features, gradients, teacher, wait_teacher, max(0.0, read - busy - wait_teacher)
    )


def loss_seconds(work: Work, place: Place, share: float) -> float:
    """The loss of a worker's n of N rows: 2 K products of [n, E] with [E, N] in float32, and passes over the logits."""
    logits = 2 * work.captions * (work.batch / place.workers) * work.batch
    products = LOSS_PRODUCTS * 2 * logits * work.embed_dim
    traffic = LOGIT_PASSES * 4 * logits / (place.device.bandwidth * place.amount)
    return products / (place.device.rate("fp32") * place.amount * share) + traffic


def feature_bytes(batch: int, captions: int, embed_dim: int) -> float:
    """The gathered float32 features of a global batch."""
    return 4.0 * batch * (1 + captions) * embed_dim


def feature_seconds(work: Work, ring: Ring) -> float:
    """All-gather of image and text features, then the all-reduce of their gradients: two collectives each."""
    size = feature_bytes(work.batch, work.captions, work.embed_dim) / 2
    return 2 * (ring.one_pass(size) + ring.all_reduce(size))


def gradient_seconds(work: Work, ring: Ring, compute: float) -> float:
    """Reduction of gradients, as far as nothing hides it, and from ZeRO 1 on the all-gather of weights."""
    size = float(work.parameters) * (4 if work.precision == "fp32" else 2)
    reduce, gather = ring.one_pass(size), ring.one_pass(size)
    if work.zero_stage == 0:
        reduce, gather = ring.all_reduce(size), 0.0
    elif work.zero_stage == 3:
        # Weights are fetched for the forward and again for the backward pass.
        gather = 2 * gather
    hidden = BACKWARD * compute if work.overlap else 0.0
    return max(0.0, reduce - hidden) + gather


def _reading_seconds(work: Work, place: Place, reader: LoaderNeed, busy: float, given: Assumptions) -> float:
    """Shortest time of a step that a node's threads and network allow, workers and readers together."""
    on_node = min(place.per_node, place.workers)
    samples = work.batch * on_node / place.workers
    each = place.amount if place.device.cpu else given.worker_threads
    threads = (on_node * each * busy + samples * reader.cpu_s) / place.node_threads
    return max(threads, samples * reader.bytes / place.node_network)
