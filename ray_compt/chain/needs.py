"""What a chain needs of a cluster, as far as its file alone tells."""

from __future__ import annotations

from ray_compt.config.schema import Chain
from ray_compt.train.cluster import Needs


def chain_needs(chain: Chain) -> Needs:
    """The most that any stage needs at once, teachers included where they must be services."""
    forced = [
        (_teachers(chain, number) * stage.teacher.fewest_replicas, stage.teacher)
        for number, stage in enumerate(chain.stages)
        if stage.teacher.placement == "actor"
    ]
    stages = [stage.workers for stage in chain.stages]
    return Needs(
        workers=max(workers.min for workers in stages),
        most=max(workers.most for workers in stages),
        cpus=max(workers.cpus for workers in stages),
        gpus=max(workers.gpus for workers in stages),
        teacher_cpus=max((count * teacher.cpus for count, teacher in forced), default=0),
        teacher_gpus=max((count * teacher.gpus for count, teacher in forced), default=0),
        reader_cpus=chain.data.reader_cpus,
    )


def _teachers(chain: Chain, number: int) -> int:
    distill = chain.stages[number].transfer.distill
    if distill.weight == 0:
        return 0
    return min(number, 1) if distill.teachers is None else len(distill.teachers)
