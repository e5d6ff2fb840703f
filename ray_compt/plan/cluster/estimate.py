"""Hours and money of a chain on a cluster, and of the same models trained alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ray_compt.config.schema import Chain, StageConfig
from ray_compt.distill.teachers import choose_teachers
from ray_compt.models import model_config
from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.cluster_file import ClusterFile
from ray_compt.plan.cluster.layout import Layout, find_layouts, without_teachers
from ray_compt.plan.cluster.loader import LoaderNeed, sample_cpu_s
from ray_compt.plan.cluster.measured import Rates
from ray_compt.plan.cluster.rate import Rate
from ray_compt.plan.cluster.step import StepTime, Work, step_time
from ray_compt.plan.cluster.training import HOUR, Steps, Training, train_on
from ray_compt.plan.cluster.work import forward_passes, make_work
from ray_compt.plan.cost import ChainCost, StageCost
from ray_compt.plan.steps import stage_steps

# Share of a step above which a slow teacher is worth a word.
SLOW_TEACHER = 0.2


@dataclass(frozen=True)
class StageEstimate:
    """One stage, and its model alone.

    Attributes:
        name, model: of the stage.
        node_type, instance, spot: what the workers run on.
        device: that they compute on.
        workers, nodes: how many.
        price: of an hour, the head included, US dollars.
        teacher: "service", "inline", or None without a teacher.
        samples_s: samples a second in steps with a teacher.
        loader_mb_s, loader_threads: what all readers need then.
        rate: share of the device's peak and overhead that were used.
        stage, alone: of the chain, and of the model alone.
        notes: what may not go as planned, a sentence each.
    """

    name: str
    model: str
    node_type: str
    instance: str
    spot: bool
    device: str
    workers: int
    nodes: int
    price: float
    teacher: str | None
    samples_s: float
    loader_mb_s: float
    loader_threads: float
    rate: Rate
    stage: Training
    alone: Training
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        changed = {"rate": vars(self.rate), "stage": self.stage.to_json(), "alone": self.alone.to_json()}
        return {**vars(self), **changed, "notes": list(self.notes)}


@dataclass(frozen=True)
class ClusterEstimate:
    """A chain on a cluster.

    Attributes:
        cluster: the file.
        cloud: aws, gcp, azure or local.
        stages: in order.
        hours, dollars: of the chain.
        alone_hours, alone_dollars: of all models trained alone, one after the other.
    """

    cluster: str
    cloud: str
    stages: tuple[StageEstimate, ...]
    hours: float
    dollars: float
    alone_hours: float
    alone_dollars: float

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers."""
        return {**vars(self), "stages": [stage.to_json() for stage in self.stages]}


@dataclass(frozen=True)
class _Job:
    """One stage of a plan, with all that its estimate needs."""

    chain: Chain
    stage: StageConfig
    config: dict[str, Any]
    cost: StageCost
    samples: int
    teacher_macs: tuple[int, ...]
    cluster: ClusterFile
    rates: Rates
    given: Assumptions


def estimate(
    chain: Chain,
    cost: ChainCost,
    cluster: ClusterFile,
    *,
    workers: int | None = None,
    node_type: str | None = None,
    rates: Rates | None = None,
    given: Assumptions | None = None,
) -> ClusterEstimate:
    """What a planned chain takes on a cluster.

    Args:
        chain: the chain.
        cost: its plan.
        cluster: where it runs.
        workers: of every stage; None: as many as the chain file and the cluster allow.
        node_type: of all workers; None: for each stage the one on which it costs least.
        rates: from a run.
        given: assumptions.

    Raises:
        UserError: no room for the workers, or a precision that the device does not have or the run does not show.
    """
    rates, given = rates or Rates(), given or Assumptions()
    if rates.stage_start_s is not None:
        given = replace(given, stage_start_s=rates.stage_start_s)
    configs = [model_config(stage.model, chain.data.image_size) for stage in chain.stages]
    stages = tuple(
        _cheapest(_job(chain, number, configs, cost, cluster, rates, given), workers, node_type)
        for number in range(len(chain.stages))
    )
    start = 0.0 if cluster.cloud == "local" else given.nodes_start_s / HOUR
    return ClusterEstimate(
        cluster=cluster.path,
        cloud=cluster.cloud,
        stages=stages,
        hours=start + sum(one.stage.hours for one in stages),
        dollars=start * stages[0].price + sum(one.stage.dollars for one in stages),
        alone_hours=sum(start + one.alone.hours for one in stages),
        alone_dollars=sum(start * one.price + one.alone.dollars for one in stages),
    )


def _job(
    chain: Chain,
    number: int,
    configs: list[dict[str, Any]],
    cost: ChainCost,
    cluster: ClusterFile,
    rates: Rates,
    given: Assumptions,
) -> _Job:
    stage, planned = chain.stages[number], cost.stages[number]
    rates.check(stage)
    teachers = choose_teachers(chain.stages, number, configs) if planned.teacher_steps else ()
    forward = tuple(teacher.macs.forward(chain.data.captions_per_image) for teacher in teachers)
    return _Job(chain, stage, configs[number], planned, cost.samples, forward, cluster, rates, given)


def _cheapest(job: _Job, workers: int | None, node_type: str | None) -> StageEstimate:
    layouts = find_layouts(
        job.cluster,
        job.stage,
        job.chain.data.lanes,
        teachers=len(job.teacher_macs),
        wanted=workers,
        node_type=node_type,
        given=job.given,
    )
    found = [_estimate_stage(job, layout) for layout in layouts]
    return min(found, key=lambda one: (one.stage.dollars, one.stage.hours))


def _estimate_stage(job: _Job, layout: Layout) -> StageEstimate:
    stage, cost, device = job.stage, job.cost, layout.place.device
    captions = job.chain.data.captions_per_image
    passes, notes = forward_passes(stage, job.config, captions, cost.parameters, layout)
    work = make_work(
        stage,
        job.config,
        captions,
        cost.parameters,
        forwards=passes,
        teacher_macs=sum(job.teacher_macs),
    )
    reader = LoaderNeed(0.0, sample_cpu_s(job.chain.data), job.given.picture_bytes)
    alone_layout = without_teachers(layout, stage, job.given)
    taught = _step(job, work, layout, reader)
    plain = _step(job, replace(work, teacher=0.0), alone_layout, reader)
    alone_steps = stage_steps(cost.individual_epochs, job.samples, stage.train.global_batch)
    every = stage.train.checkpoint_every
    steps = Steps(taught, plain, cost.steps, cost.teacher_steps, every, cost.parameters)
    alone = Steps(plain, plain, alone_steps, 0, every, cost.parameters)
    need = replace(reader, samples_s=work.batch / taught.total)
    return StageEstimate(
        name=cost.name,
        model=cost.model,
        node_type=layout.node_type.name,
        instance=layout.node_type.instance.name,
        spot=layout.node_type.spot,
        device=device.name,
        workers=layout.workers,
        nodes=layout.nodes,
        price=layout.price(job.cluster),
        teacher=("service" if layout.services else "inline") if job.teacher_macs else None,
        samples_s=need.samples_s,
        loader_mb_s=need.megabytes_s,
        loader_threads=need.cores,
        rate=job.rates.of(device, work.precision, job.given),
        stage=train_on(steps, layout, job.cluster, job.given),
        alone=train_on(alone, alone_layout, job.cluster, job.given),
        notes=(*notes, *_slow_teacher(stage, taught)),
    )


def _step(job: _Job, work: Work, layout: Layout, reader: LoaderNeed) -> StepTime:
    device = layout.place.device
    rate, teacher_rate = (
        job.rates.of(device, precision, job.given) for precision in (work.precision, work.teacher_precision)
    )
    return step_time(work, layout.place, rate, teacher_rate, reader, job.given)


def _slow_teacher(stage: StageConfig, taught: StepTime) -> tuple[str, ...]:
    share = (taught.teacher + taught.wait_teacher) / taught.total
    if share > SLOW_TEACHER and stage.teacher.precision == "fp32" and stage.train.precision != "fp32":
        return (f"its teacher takes {share:.0%} of a step in fp32: set teacher.precision: bf16",)
    return ()
