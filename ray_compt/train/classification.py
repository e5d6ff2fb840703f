"""Classification: a linear head on the image tower's embedding, for fine-tuning on labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ray_compt.data import Batch
from ray_compt.models import build_model
from ray_compt.train.clip import pixels
from ray_compt.train.compiling import compile_image_tower
from ray_compt.train.loss import classification_share, unit
from ray_compt.train.objective import Exchange, Targets

if TYPE_CHECKING:
    from ray_compt.train.job import StageJob

TOWER_PREFIX, HEAD_PREFIX = "visual.", "head."


@dataclass(frozen=True)
class Logits:
    """What a batch of n pictures becomes: float32 [n, C]."""

    shared: ClassVar[int] = 0
    logits: Tensor

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Logits:
        return cls(*tensors)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (self.logits,)


class Head(nn.Module):
    """Embeddings [n, E] of unit length -> logits [n, C], in float32 whatever its weights are stored in.

    A module of its own, because ZeRO 3 fetches weights for the module that is called.
    """

    def __init__(self, width: int, classes: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(classes, width))
        self.bias = nn.Parameter(torch.zeros(classes))

    def forward(self, embedding: Tensor) -> Tensor:
        return F.linear(embedding, self.weight.float(), self.bias.float())


class Classifier(nn.Module):
    """The image tower of an open_clip model with a head; the text tower takes no part and is not here.

    Args:
        config: open_clip's configuration of the model.
        classes: number of classes.
        seed: of the initial weights.
        checkpointing: recompute activations in the backward pass.
    """

    def __init__(self, config: dict[str, Any], classes: int, seed: int, *, checkpointing: bool = False):
        super().__init__()
        self.visual = build_model(config, seed).visual
        if checkpointing:
            self.visual.set_grad_checkpointing(True)
        self.head = Head(config["embed_dim"], classes)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Pictures [n, 3, H, W] -> the tensors of `Logits`."""
        return Logits(self.head(unit(self.visual(images)))).tensors


@dataclass(frozen=True)
class Classification:
    """Cross-entropy over the global batch.

    Attributes:
        classes: their names, in the order of the head's rows.
        label_smoothing: share of the target that is spread evenly over all classes.
    """

    numbers: ClassVar[tuple[str, ...]] = ("top1",)
    classes: tuple[str, ...]
    label_smoothing: float = 0.0

    @property
    def identity(self) -> dict[str, Any]:
        return {"classes": list(self.classes)}

    def build(self, job: StageJob) -> Classifier:
        return Classifier(
            job.model, len(self.classes), job.seed, checkpointing=job.train.activation_checkpointing
        )

    def load(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        module.load_state_dict(weights)

    def compile(self, module: nn.Module) -> None:
        compile_image_tower(module)

    def inputs(
        self, job: StageJob, module: nn.Module, batch: Batch, rows: slice, device: torch.device
    ) -> tuple[Tensor]:
        return (pixels(job, batch, rows, device),)

    def outputs(self, tensors: Sequence[Tensor]) -> Logits:
        return Logits.of(tensors)

    def loss(
        self, job: StageJob, outputs: Logits, targets: Targets, exchange: Exchange
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Pictures that could not be read, or that have no class, take no part."""
        place = {name: number for number, name in enumerate(self.classes)}
        numbers = torch.tensor([place.get(label, -1) for label in targets.labels], dtype=torch.int64)
        classes = numbers.to(targets.valid.device).masked_fill(~targets.valid, -1)
        total = exchange.total((classes >= 0).sum())
        loss = classification_share(outputs.logits, classes, total, self.label_smoothing)
        right = (outputs.logits.detach().argmax(dim=1) == classes).sum() / total.clamp(min=1)
        return loss, (right.to(loss.dtype),)

    def updated(self, engine: Any) -> None:
        """Nothing is bounded."""
