"""What a chain asks of the nodes that are to train it."""

from __future__ import annotations

from collections.abc import Sequence

from ray_compt.chain.folder import run_place
from ray_compt.chain.needs import chain_needs
from ray_compt.chain.prepare import StagePlan
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.doctor.asked import Asked, Reading, Writing
from ray_compt.doctor.examine import check_nodes
from ray_compt.evaluate.suites import check_suite
from ray_compt.plan.cluster import CHECKPOINT_BYTES
from ray_compt.report.terminal import Terminal
from ray_compt.storage import Place
from ray_compt.train.checkpoint import KEPT

# Of a parameter in fp32.
MODEL_BYTES = 4


def chain_asked(chain: Chain, run: Place, plans: Sequence[StagePlan] = ()) -> Asked:
    """Everything that its stages read and write, and the workers that they need.

    Args:
        run: the run folder.
        plans: of the stages, from which follows how much the run folder will hold.

    Raises:
        UserError: a mistake in the suite file.
    """
    return Asked(
        reads=(*_data(chain), *_outside_teachers(chain)),
        writes=(Writing("run folder", str(run)), *_caches(chain)),
        needs=chain_needs(chain),
        disk_bytes=_run_bytes(plans),
    )


def check_for_chain(chain: Chain, run: Place, terminal: Terminal) -> None:
    """Before training: that every node of a cluster sees what the chain needs, and runs the same code.

    Raises:
        UserError: one does not; the message names it.
    """
    for note in check_nodes(chain_asked(chain, run)):
        terminal.warn(note)


def _data(chain: Chain) -> list[Reading]:
    data = chain.data
    splits = [Reading("data.train", data.train), *([Reading("data.val", data.val)] if data.val else [])]
    suite = check_suite(chain.evaluate.suite, data)
    for task in suite.tasks if suite else ():
        splits.append(Reading(f"task {task.name}", task.data))
        if task.train:
            splits.append(Reading(f"task {task.name}: train", task.train))
    return splits


def _outside_teachers(chain: Chain) -> list[Reading]:
    """Folders of models that teach and are no stages of the chain."""
    found: dict[str, Reading] = {}
    for number, stage in enumerate(chain.stages):
        earlier = {before.name for before in chain.stages[:number]}
        for choice in _teachers(stage):
            if choice not in earlier:
                found[choice] = Reading(f"teacher {choice}", f"folder:{run_place(choice)}")
    return list(found.values())


def _teachers(stage: StageConfig) -> list[str]:
    distill = stage.transfer.distill
    return [choice.model for choice in distill.teachers or ()] if distill.weight != 0 else []


def _caches(chain: Chain) -> list[Writing]:
    caches = dict.fromkeys(stage.teacher.cache for stage in chain.stages if stage.teacher.cache)
    return [Writing(f"teacher.cache {path}", str(run_place(path))) for path in caches]


def _run_bytes(plans: Sequence[StagePlan]) -> int:
    """All models, and the largest stage's checkpoints: those that are kept, and one being written."""
    if not plans:
        return 0
    sizes = [plan.parameters for plan in plans]
    return MODEL_BYTES * sum(sizes) + CHECKPOINT_BYTES * max(sizes) * (KEPT + 1)
