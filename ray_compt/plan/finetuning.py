"""The cost of fine-tuning an image tower on labelled pictures, counted as a chain's stages are (`cost.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from ray_compt.models import Macs
from ray_compt.plan.cost import training_macs


@dataclass(frozen=True)
class FinetuningMacs:
    """MACs spent on fine-tuning.

    Attributes:
        trained: forward and backward passes of what learns, the image tower and the head.
        frozen: forward passes of what does not, the text tower that makes the zero-shot head.
    """

    trained: int
    frozen: int

    @property
    def total(self) -> int:
        return self.trained + self.frozen


def finetuning_macs(
    model: Macs, *, width: int, classes: int, prompts: int, global_batch: int, steps: int
) -> FinetuningMacs:
    """MACs of `steps` optimizer steps of an image tower with a linear head.

    A picture costs three forwards of the tower and of the head's `width` x `classes` products; each prompt one forward
    of the text tower, once, before the first step.

    Args:
        model: forward cost of both towers.
        width: of the embedding, which the head reads.
        classes: that the head tells apart.
        prompts: that the head begins as, all classes together; 0 where it begins at zero.
        global_batch: pictures a step, over all workers.
        steps: optimizer steps.
    """
    trained = Macs(image=model.image + width * classes, text=0)
    spent = training_macs(trained, captions=0, global_batch=global_batch, steps=steps)
    return FinetuningMacs(spent.total, prompts * model.text)
