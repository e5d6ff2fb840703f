"""Rules between sections, which no single section can check. Pure: needs a `Chain` and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ray_compt.config.schema import Chain, StageConfig
from ray_compt.config.tree import Path


@dataclass(frozen=True)
class Problem:
    """A broken rule.

    Attributes:
        blame: paths in the resolved chain of the keys to blame; the first that was written is.
        message: what is wrong.
        mend: what to do about it.
    """

    blame: tuple[Path, ...]
    message: str
    mend: str


def legal_worker_counts(global_batch: int, lanes: int) -> list[int]:
    """Worker counts that own whole lanes and equal shares of the batch, ascending."""
    return [count for count in range(1, lanes + 1) if lanes % count == 0 and global_batch % count == 0]


def check_chain(chain: Chain) -> list[Problem]:
    """What is wrong with a valid chain as a whole; empty where nothing is."""
    problems = list(_names(chain))
    for index, stage in enumerate(chain.stages):
        problems += _stage(("stages", index), stage, chain.data.lanes)
        problems += _teachers(chain, index)
        problems += _init(index, stage)
    return problems


def _names(chain: Chain) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for index, stage in enumerate(chain.stages):
        if stage.name in first:
            yield Problem(
                (("stages", index, "name"),),
                f"stage {first[stage.name]} is called {stage.name} too",
                "give every stage its own name, or leave the names out",
            )
        first.setdefault(stage.name, index)


def _teachers(chain: Chain, index: int) -> Iterator[Problem]:
    stage = chain.stages[index]
    path = ("stages", index, "transfer", "distill", "teachers")
    later = [other.name for other in chain.stages[index:]]
    chosen = [teacher.model for teacher in stage.transfer.distill.teachers or ()]
    for number, model in enumerate(chosen):
        if model in later:
            yield Problem(
                ((*path, number, "model"),),
                f"{model} is not trained before stage {stage.name}",
                "name an earlier stage, and write teachers inside the stages that follow it",
            )
        elif model in chosen[:number]:
            yield Problem(
                ((*path, number, "model"),),
                f"{model} is named twice",
                "keep one, with the sum of the weights",
            )


def _init(index: int, stage: StageConfig) -> Iterator[Problem]:
    if index and stage.transfer.init is not None:
        yield Problem(
            (("stages", index, "transfer", "init"),),
            f"stage {stage.name} begins with what the stage before has learnt, not with a model from outside",
            "write init inside the first stage; others learn from such a model through distill.teachers",
        )


def _stage(path: Path, stage: StageConfig, lanes: int) -> Iterator[Problem]:
    batch, workers = stage.train.global_batch, stage.workers
    batch_key, lanes_key = (*path, "train", "global_batch"), ("data", "lanes")
    if batch % lanes:
        nearest = max(round(batch / lanes), 1) * lanes
        yield Problem(
            (batch_key, lanes_key),
            f"a batch of {batch} cannot take as many samples from each of {lanes} lanes",
            f"write a global_batch that is a multiple of {lanes}, for example {nearest}, or other lanes",
        )
    else:
        legal = legal_worker_counts(batch, lanes)
        if workers.min not in legal:
            yield Problem(
                ((*path, "workers", "min"),),
                f"{workers.min} workers cannot share {lanes} lanes and a batch of {batch} equally",
                f"use one of {', '.join(map(str, legal))}, or other data.lanes",
            )
    if stage.train.precision == "fp16" and workers.gpus == 0:
        yield Problem(
            ((*path, "train", "precision"),),
            "fp16 needs GPUs, and workers.gpus is 0",
            "write precision: bf16, or give every worker a GPU (workers: {gpus: 1})",
        )
