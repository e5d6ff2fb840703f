"""One training of the experiment, named by everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from ray_compt.config.distill_keys import DistillConfig
from ray_compt.config.schema import TrainConfig
from ray_compt.distill.settings import NO_TEACHER, DistillPlan, resolve_distill

GLOBAL_BATCH = 128
# The first gradients are ten times as long as all later ones; without a bound S loses 3 points at 20 epochs.
GRAD_CLIP = 1.0


@dataclass(frozen=True)
class Cell:
    """A model trained from random weights, or from the model of another cell.

    Attributes:
        size: letter of the model in its family.
        epochs: passes over the data, with a complete schedule of their own.
        lr: peak learning rate.
        seed: of weights, order, augmentation and growth.
        warmup: epochs of linear warm-up.
        source: what it starts from and is taught by; None: nothing.
        growth: operator; "continue" takes a source of the same size as it is; "random" takes no weights.
        noise: as `transfer.noise`.
        weight: of the distillation; 0: no teacher.
        stop_at, decay: as in `transfer.distill`.
        optimizer: as `transfer.optimizer`.
    """

    size: str
    epochs: float
    lr: float
    seed: int
    warmup: float = 1.0
    source: Cell | None = None
    growth: str = "scratch"
    noise: float | None = None
    weight: float = 0.0
    stop_at: float = 1.0
    decay: str = "none"
    optimizer: str = "fresh"

    @property
    def name(self) -> str:
        """Equal for equal trainings, wherever they run."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Its fields, the source by name."""
        return asdict(self) | {"source": self.source.name if self.source else None}

    def lineage(self) -> Iterator[Cell]:
        """Every cell that this one needs, first to last, itself included."""
        if self.source is not None:
            yield from self.source.lineage()
        yield self

    def with_seed(self, seed: int) -> Cell:
        """The same training, and all before it, with another seed."""
        source = self.source.with_seed(seed) if self.source else None
        return replace(self, seed=seed, source=source)

    @property
    def path(self) -> str:
        """For people: `S 80 -> M 20`, sizes and epochs."""
        return " -> ".join(f"{cell.size} {cell.epochs:g}" for cell in self.lineage())

    def train(self, batches_per_epoch: int) -> TrainConfig:
        return TrainConfig(
            global_batch=GLOBAL_BATCH,
            lr=self.lr,
            warmup_steps=round(self.warmup * batches_per_epoch),
            zero_stage=0,
            grad_clip=GRAD_CLIP,
        )

    @property
    def distill(self) -> DistillPlan:
        if self.source is None or not self.weight:
            return NO_TEACHER
        config = DistillConfig(weight=self.weight, stop_at=self.stop_at, decay=self.decay)
        return resolve_distill(config, self.epochs, sum(cell.epochs for cell in self.source.lineage()))
