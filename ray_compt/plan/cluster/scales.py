"""One model on 1 to 512 workers: what a step goes to, without a chain or a cluster file, for docs/scaling.md."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from ray_compt.config.schema import DataConfig
from ray_compt.models import count_macs, count_parameters, model_config
from ray_compt.plan.cluster.assumptions import Assumptions
from ray_compt.plan.cluster.collectives import make_ring
from ray_compt.plan.cluster.instances import Instance
from ray_compt.plan.cluster.layout import GIGABIT
from ray_compt.plan.cluster.loader import LoaderNeed, sample_cpu_s
from ray_compt.plan.cluster.memory import Footprint, activation_bytes, loss_bytes, state_bytes
from ray_compt.plan.cluster.step import Place, StepTime, Work, step_time
from ray_compt.plan.cluster.work import FLOPS_PER_MAC
from ray_compt.plan.cost import FORWARDS_PER_TRAINED_SAMPLE


@dataclass(frozen=True)
class Scale:
    """A data set, as it is usually trained on.

    Attributes:
        name: of the data.
        samples: in it.
        epochs: passes.
        batch: the global batch.
    """

    name: str
    samples: int
    epochs: int
    batch: int


@dataclass(frozen=True)
class ScaledStep:
    """A step on a number of workers.

    Attributes:
        workers, nodes: how many.
        time: of the step.
        samples_s: samples a second.
        micro_batch: samples that run at once on a worker.
        share: of a worker in the batch.
        need: of all readers.
        threads: hardware threads that the nodes have beside the workers' own.
    """

    workers: int
    nodes: int
    time: StepTime
    samples_s: float
    micro_batch: int
    share: int
    need: LoaderNeed
    threads: float


def scaled_step(
    model: str, batch: int, instance: Instance, workers: int, *, captions: int = 1, given: Assumptions
) -> ScaledStep:
    """A step of a model in bf16 at ZeRO 1, without a teacher, on full nodes of GPUs.

    Args:
        model: its name.
        batch: the global batch; workers divide it.
        instance: with GPUs.
        workers: one on each GPU.
        captions: a picture.
        given: assumptions.
    """
    config, parameters = _measure(model)
    device = instance.device
    footprint = Footprint(
        state_bytes(parameters, "bf16", 1, workers),
        activation_bytes(config, captions, "bf16", checkpointed=False),
        loss_bytes(batch, workers, captions),
    )
    share = batch // workers
    fits = footprint.samples_at_once(device.memory)
    micro = share if fits is None else min(share, fits)
    passes = FORWARDS_PER_TRAINED_SAMPLE + int(micro < share)
    flops = FLOPS_PER_MAC * passes * float(count_macs(config).forward(captions))
    embed_dim = config["embed_dim"]
    work = Work(batch, captions, embed_dim, parameters, flops, 0.0, "bf16", "bf16", 1, False)
    network = instance.network_gbit * GIGABIT * given.network_share
    link = device.link * given.network_share
    ring = make_ring(workers, instance.devices, link, network, given.link_hop_s, given.hop_s)
    place = Place(device, 1.0, ring, instance.devices, instance.vcpus, network)
    data = DataConfig(train="shards", captions_per_image=captions)
    reader = LoaderNeed(0.0, sample_cpu_s(data), given.picture_bytes)
    rate = given.usual_rate(device, "bf16")
    time = step_time(work, place, rate, rate, reader, given)
    need = LoaderNeed(batch / time.total, reader.cpu_s, reader.bytes)
    threads = ring.nodes * instance.vcpus - workers * given.worker_threads
    return ScaledStep(workers, ring.nodes, time, need.samples_s, micro, share, need, threads)


@functools.lru_cache(maxsize=8)
def _measure(model: str) -> tuple[dict[str, Any], int]:
    """A model's configuration and number of parameters, which takes building it without weights."""
    config = model_config(model, 224)
    return config, count_parameters(config)
