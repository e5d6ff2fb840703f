"""What a stage minimises, as the step, the engine and the micro-batches see it.

A new objective is a frozen dataclass with the members of `Objective`, in a file of its own beside `clip.py` and
`classification.py`; nothing else has to know it. Its loss must be a sum over workers, and may couple the samples of
the global batch: `Exchange` brings the other workers' part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from ray_compt.data import Batch
from ray_compt.train.loss import Gathered, gather, total_over_workers

if TYPE_CHECKING:
    from ray_compt.train.job import StageJob

# A teacher's features of this worker's samples: unit vectors, float32 [n, E_t] and [n, K, E_t].
Answer = tuple[Tensor, Tensor]
Gather = Callable[[Tensor, Tensor, Tensor], Gathered]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Outputs(Protocol):
    """What a batch becomes in the module, as far as the loss needs it; all float32.

    Attributes:
        shared: how many of the tensors, the first ones, are the same for every row; the others have a row a sample.
        tensors: all of them, as `of` takes them back.
    """

    shared: ClassVar[int]

    @property
    def tensors(self) -> tuple[Tensor, ...]: ...

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Any: ...


@dataclass(frozen=True)
class Targets:
    """What this worker's outputs are held against.

    Attributes:
        valid: bool [n], on the outputs' device; False marks samples that could not be read.
        labels: the n samples' class names, empty where one has none.
        answers: each teacher's features of these samples; None: this step does not distil.
        distill_weight: of the distillation loss.
    """

    valid: Tensor
    labels: Sequence[str] = ()
    answers: Sequence[Answer] | None = None
    distill_weight: float = 0.0


@dataclass(frozen=True)
class Exchange:
    """How a worker learns the rest of the global batch; both are collective.

    Attributes:
        gather: features of the global batch from those of a worker, differentiable.
        total: the sum over workers of a number that needs no gradient.
    """

    gather: Gather
    total: Callable[[Tensor], Tensor]


WORKERS = Exchange(gather, total_over_workers)


class Objective(Protocol):
    """One way to train; it travels with the job, so it is small and picklable.

    Attributes:
        numbers: names of what `loss` returns beside the loss, for metrics.jsonl.
        identity: what a checkpoint must agree with besides what every job has; JSON.
    """

    numbers: ClassVar[tuple[str, ...]]

    @property
    def identity(self) -> dict[str, Any]: ...

    def build(self, job: StageJob) -> nn.Module:
        """The module that DeepSpeed trains, with weights of the job's seed; its forward gives a tuple of tensors."""

    def load(self, module: nn.Module, weights: dict[str, Tensor]) -> None:
        """Copy the stage's initial weights into a fresh module."""

    def compile(self, module: nn.Module) -> None:
        """Run its towers through torch.compile."""

    def inputs(
        self, job: StageJob, module: nn.Module, batch: Batch, rows: slice, device: torch.device
    ) -> tuple[Any, ...]:
        """Rows of a batch as the module takes them, on the device."""

    def outputs(self, tensors: Sequence[Tensor]) -> Outputs:
        """What the module gave."""

    def loss(
        self, job: StageJob, outputs: Any, targets: Targets, exchange: Exchange
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """This worker's part of the loss and of `numbers`, float32 scalars whose sums over workers are meant."""

    def updated(self, engine: Any) -> None:
        """Called after each update, for bounds on parameters."""
