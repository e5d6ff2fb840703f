"""What the estimate takes for granted: every number that is neither in a table nor worked out, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ray_compt.plan.cluster.devices import Device, Precision
from ray_compt.plan.cluster.rate import Rate


def _shares() -> dict[Precision, float]:
    return {"bf16": 0.29, "fp16": 0.29, "fp32": 0.6}


@dataclass(frozen=True)
class Assumptions:
    """Defaults of the estimate.

    Attributes:
        share: of a GPU's peak that a training step reaches, counting MACs as `compt plan` does. bf16: a ViT-B/16 on an
            H100, 2,298 samples/s of `benchmarks.gpu_step` (docs/performance.md), and taken for fp16 and for all sizes;
            fp32 was not measured on GPUs.
        cpu_share: of a whole core's peak in fp32: half of the 0.63 of docs/performance.md, because a cloud's vCPU is
            mostly half a core; small models reach far less.
        network_share: of the nominal bandwidth between nodes and between devices that collectives reach.
        hop_s, link_hop_s: latency of one message between nodes and inside one, seconds.
        worker_threads: hardware threads that the process of a GPU worker keeps busy.
        picture_bytes: of a stored sample: img2dataset's 256-pixel CC12M, 331 GB of 11 million.
        stage_start_s: start and end of a stage on nodes that are there: start to first step 19 s (docs/performance.md),
            growth, the last checkpoint and evaluation.
        nodes_start_s: until rented nodes have joined the cluster, once a run.
        restart_s: from losing a node to the next step, the wait for a new node included.
        preemptions_per_hour: of one spot node; one in fifty hours.
        noticed: share of preemptions that the graceful policy hears of in time, and loses no step by.
        checkpoint_bytes_s: at which a checkpoint is written (docs/scaling.md: 360 MB in 0.54 s).
    """

    share: Mapping[Precision, float] = field(default_factory=_shares)
    cpu_share: float = 0.3
    network_share: float = 0.7
    hop_s: float = 15e-6
    link_hop_s: float = 4e-6
    worker_threads: float = 1.0
    picture_bytes: float = 30e3
    stage_start_s: float = 60.0
    nodes_start_s: float = 300.0
    restart_s: float = 240.0
    preemptions_per_hour: float = 0.02
    noticed: float = 0.8
    checkpoint_bytes_s: float = 670e6

    def usual_rate(self, device: Device, precision: Precision) -> Rate:
        """Of a device that no run was measured on."""
        if device.cpu:
            return Rate(self.cpu_share, source="assumed")
        source = "assumed" if precision == "fp32" else "as a ViT-B/16 did on an H100"
        return Rate(self.share[precision], source=source)
