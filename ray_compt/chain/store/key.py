"""What a stage's result depends on, and the name that this gives it. Nothing is read but our own source code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ray_compt.chain.prepare import StagePlan
from ray_compt.config.schema import Chain
from ray_compt.config.traces import NO_TRACE_IN_DATA, NO_TRACE_IN_TRAIN
from ray_compt.doctor.versions import source_digest
from ray_compt.models.checksums import document_digest

FORMAT = 1
# Rooms whose code decides what comes out of a stage.
ROOMS = ("data", "distill", "evaluate", "growth", "models", "teacher", "train")
LIBRARIES = ("torch", "torchvision", "open_clip_torch", "deepspeed", "numpy", "pillow")


@dataclass(frozen=True)
class StageKey:
    """Names a stage's result.

    Attributes:
        identity: everything that the result depends on, as plain values.
    """

    identity: Mapping[str, Any]

    @property
    def name(self) -> str:
        """128 bits in hexadecimal, equal for equal identities."""
        return document_digest(self.identity)


@dataclass(frozen=True)
class Surroundings:
    """What all stages of a run have in common.

    Attributes:
        chain: the chain file.
        train, val: digests of the splits' indexes; "" where there is no validation split.
        suite: what models are measured by, as plain values; None: nothing more than the validation split.
    """

    chain: Chain
    train: str
    val: str
    suite: Mapping[str, Any] | None

    def identity(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "code": code_digest(),
            "libraries": {name: metadata.version(name) for name in LIBRARIES},
            "seed": self.chain.seed,
            "data": self.chain.data.model_dump(mode="json", exclude=set(NO_TRACE_IN_DATA)),
            "samples": [self.train, self.val],
            "suite": self.suite,
            "after_growth": self.chain.evaluate.after_growth,
        }


def stage_key(
    around: Surroundings,
    plan: StagePlan,
    steps: int,
    source: str | None,
    teachers: Sequence[tuple[str, float]],
) -> StageKey:
    """The key of a stage.

    Args:
        around: the run.
        plan: the stage.
        steps: optimizer steps of the whole stage.
        source: name of the predecessor's key, or a digest of the weights from outside; counts where weights are grown
            from it.
        teachers: key or weights' digest of each teacher, and its share of the distillation weight.
    """
    transfer, train = plan.config.transfer, plan.config.train
    grown = plan.growth is not None
    return StageKey(
        {
            **around.identity(),
            "model": plan.model,
            "train": train.model_dump(mode="json", exclude=set(NO_TRACE_IN_TRAIN)),
            "steps": steps,
            # The place in the chain is part of the growth's seed.
            "growth": [plan.growth, transfer.noise, plan.carries, plan.number, source] if grown else None,
            "distill": _distill(plan) if teachers else None,
            "teachers": [list(teacher) for teacher in teachers],
        }
    )


def _distill(plan: StagePlan) -> list[Any]:
    distill = plan.distill
    numbers = [distill.weight, distill.stop_at, distill.decay, distill.kind, distill.towers]
    return [*numbers, plan.config.teacher.precision]


@cache
def code_digest() -> str:
    """blake2b of the source files that decide a stage's result, 128 bits in hexadecimal."""
    package = Path(__file__).parents[2]
    files = (file for room in ROOMS for file in (package / room).rglob("*.py"))
    return source_digest(package, files, 16)
