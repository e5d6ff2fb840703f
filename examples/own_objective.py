"""Train a chain on an objective of your own: decoupled contrastive learning (Yeh et al., arXiv 2110.06848).

    python -m examples.own_objective [FOLDER]

Like CLIP's loss, but a pair's own similarity is no candidate in the denominator. What an objective has to offer is
said by `ray_compt.train.objective.Objective`. Two rules keep a loss right on any number of workers: its parts are
*summed* over workers, so each divides by what the global batch counts; and samples that could not be read take no part.
Workers import an objective's module, which has to be there on every node; one of the program itself travels to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from rich.console import Console
from torch import Tensor

from examples.shapes import chain, main_folder, model, write_shards
from ray_compt.chain import train_chain
from ray_compt.config import make_chain
from ray_compt.train.clip import ClipObjective
from ray_compt.train.job import StageJob
from ray_compt.train.loss import Gathered
from ray_compt.train.objective import Exchange, Targets
from ray_compt.train.student import Features


@dataclass(frozen=True)
class Decoupled(ClipObjective):
    """CLIP's models and inputs, with another loss.

    Attributes:
        weight: of the loss; a checkpoint trained with another one is not gone on with.
    """

    numbers: ClassVar[tuple[str, ...]] = ("alignment",)
    weight: float = 1.0

    @property
    def identity(self) -> dict[str, Any]:
        return {"objective": "decoupled", "weight": self.weight}

    def loss(
        self, job: StageJob, outputs: Features, targets: Targets, exchange: Exchange
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        batch = exchange.gather(outputs.image, outputs.text, targets.valid)
        loss, alignment = decoupled_loss(outputs.image, outputs.text, outputs.scale, batch)
        return self.weight * loss, (alignment.detach(),)


def decoupled_loss(image: Tensor, text: Tensor, scale: Tensor, batch: Gathered) -> tuple[Tensor, Tensor]:
    """This worker's share of the loss, and of the mean cosine of pictures and their captions.

    With s_ij = scale * image_i . text_j and V valid samples, for each of K captions
    L = 1/(2 V K) sum_i [log sum_{j != i} exp(s_ij) + log sum_{j != i} exp(s_ji) - 2 s_ii].

    Args:
        image, text: this worker's unit vectors, float32 [n, E] and [n, K, E].
        scale: exp(logit_scale).
        batch: the global batch's.
    """
    rows = torch.arange(len(image), device=image.device)
    own = rows + batch.offset
    mine, captions = batch.valid[own], text.shape[1]
    # A finite floor instead of -inf, so that a row without candidates gives no nan.
    floor = torch.zeros(len(image), len(batch.valid), device=image.device).masked_fill(~batch.valid, -1e9)
    floor[rows, own] = -1e9
    total = image.new_zeros(())
    for k in range(captions):
        positive = scale * (image * text[:, k]).sum(dim=1)
        others = (scale * image @ batch.text[:, k].T, scale * text[:, k] @ batch.image.T)
        losses = sum((logits + floor).logsumexp(dim=1) for logits in others) - 2 * positive
        total = total + losses.masked_fill(~mine, 0.0).sum()
    count = batch.valid.sum().clamp(min=1)
    alignment = (image[:, None] * text).sum(dim=2).mean(dim=1).masked_fill(~mine, 0.0).sum()
    return total / (2 * captions * count), alignment / count


def main(folder: Path) -> Path:
    """Train a chain of two models on it; returns the run folder."""
    write_shards(folder / "shards")
    # The second grows from the first, without a teacher: this objective has no distillation loss.
    stages = [
        {"name": "small", "model": model(32), "epochs": 1},
        {"name": "large", "model": model(48), "epochs": 1, "distill": {"weight": 0}},
    ]
    content = make_chain(chain(folder / "shards", stages), (), where="stages")
    train_chain(content, str(folder / "run"), objective=Decoupled(), console=Console())
    return folder / "run"


if __name__ == "__main__":
    main(main_folder())
