"""From finished stages to the rate of a device."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray_compt.config.schema import StageConfig
from ray_compt.errors import UserError
from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.collectives import make_ring
from ray_compt.plan.cluster.devices import Device, Precision
from ray_compt.plan.cluster.rate import MeasuredStep, Rate, fit_rate
from ray_compt.plan.cluster.step import Place, feature_seconds, gradient_seconds, loss_seconds
from ray_compt.plan.cluster.work import FLOPS_PER_MAC, make_work

# Of a step, what is left for computing at least, should the modelled exchange be too slow.
LEAST_BUSY = 0.1


@dataclass(frozen=True)
class Rates:
    """What a run has shown of a device; nothing where no run was given.

    Attributes:
        measured: by precision.
        stage_start_s: start and end of its stages; None where it is not known.
    """

    measured: Mapping[Precision, Rate] = field(default_factory=dict)
    stage_start_s: float | None = None

    def of(self, device: Device, precision: Precision, given: Assumptions) -> Rate:
        """What was measured, else what is assumed."""
        return self.measured.get(precision) or given.usual_rate(device, precision)

    def check(self, stage: StageConfig) -> None:
        """Raises UserError where a run was given that says nothing of the stage's precision."""
        if self.measured and stage.train.precision not in self.measured:
            raise UserError(
                f"stage {stage.name} computes in {stage.train.precision}, the measured run in "
                f"{' and '.join(self.measured)}",
                where="--measured",
                mend="give a run of the same train.precision, or leave --measured out",
            )


@dataclass(frozen=True)
class FinishedStage:
    """How fast a stage trained.

    Attributes:
        stage: its settings.
        config: open_clip's, of its model.
        parameters: of the model.
        captions: a picture.
        workers: that it trained with, from its start to its end.
        step_s: mean seconds of a step, waits included.
        start_s: of its wall-clock time, what was no training.
        teacher_macs: mean MACs of teachers inside the workers, for one sample.
    """

    stage: StageConfig
    config: dict[str, Any]
    parameters: int
    captions: int
    workers: int
    step_s: float
    start_s: float
    teacher_macs: float


def measure_rates(finished: Sequence[FinishedStage], device: Device, where: str, given: Assumptions) -> Rates:
    """The rates that a run shows, one for each precision that it trained in.

    The workers of a stage are taken to share one node; what they exchanged is worked out and left out of the rate.

    Args:
        finished: its stages.
        device: that each of its workers computed on, `workers.gpus` or `workers.cpus` of it.
        where: names the run, for people.
        given: assumptions.

    Raises:
        UserError: no stage, one that trained on a GPU where the device is none or the other way round, or a precision
            that the device lacks.
    """
    if not finished:
        raise UserError(
            "no stage of this run is finished, with its speed and one number of workers all the time",
            where=where,
            mend="give a run with a finished stage that nothing interrupted",
        )
    steps: dict[Precision, list[MeasuredStep]] = {}
    for one in finished:
        steps.setdefault(one.stage.train.precision, []).append(_step(one, device, where, given))
    measured = {
        precision: fit_rate(
            found, f"measured in {len(found)} stage{'s' if len(found) > 1 else ''} of {where}"
        )
        for precision, found in steps.items()
    }
    return Rates(measured, statistics.median(one.start_s for one in finished))


def _step(one: FinishedStage, device: Device, where: str, given: Assumptions) -> MeasuredStep:
    workers = one.stage.workers
    if device.cpu != (workers.gpus == 0):
        kind = "GPUs" if workers.gpus else "CPUs"
        raise UserError(
            f"stage {one.stage.name} of this run trained on {kind}, not on a {device.name}",
            where=where,
            mend="give a run on the cluster's kind of device, or say which it had with --measured-on",
        )
    amount = workers.gpus or workers.cpus
    link = device.link * given.network_share
    ring = make_ring(one.workers, one.workers, link, link, given.link_hop_s, given.hop_s)
    place = Place(device, amount, ring, one.workers, math.inf, math.inf)
    work = make_work(one.stage, one.config, one.captions, one.parameters)
    exchanged = (
        loss_seconds(work, place, given.usual_rate(device, "fp32").share)
        + feature_seconds(work, ring)
        + gradient_seconds(work, ring, 0.0)
    )
    flops = work.batch / one.workers * (work.student + FLOPS_PER_MAC * one.teacher_macs)
    ideal = flops / (device.rate(work.precision) * amount)
    return MeasuredStep(ideal, max(one.step_s - exchanged, LEAST_BUSY * one.step_s))
