"""Accuracy of a linear head on an image tower: what fine-tuning is measured by."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ray_compt.data import Index, Preprocess, evaluation_batches, normalise
from ray_compt.errors import UserError


@torch.inference_mode()
def head_top1(
    tower: nn.Module,
    weight: Tensor,
    bias: Tensor,
    classes: Sequence[str],
    index: Index,
    preprocess: Preprocess,
    *,
    batch: int,
    device: str | torch.device = "cpu",
) -> float:
    """The share of a split's pictures whose class has the largest logit; pictures without a class do not count.

    A class that the head does not know is counted as wrong. So is a tie, as in `metrics`.

    Args:
        tower: pictures [n, 3, H, W] -> embeddings [n, E]; on `device`, in evaluation mode.
        weight: of the head on embeddings of unit length, [C, E].
        bias: [C].
        classes: names of the C classes.
        index: the split.
        preprocess: its deterministic side is used.
        batch: pictures embedded at a time.
        device: where the tower lies.

    Raises:
        UserError: no readable picture of the split has a class.
    """
    place = {name: number for number, name in enumerate(classes)}
    weight, bias = weight.to(device), bias.to(device)
    right = counted = 0
    for part in evaluation_batches(index, preprocess, batch):
        labelled = [row for row, label in enumerate(part.label) if label]
        if not labelled:
            continue
        pixels = normalise(part.image[labelled].to(device), preprocess.mean, preprocess.std)
        logits = F.linear(F.normalize(tower(pixels).float(), dim=-1), weight, bias)
        truth = torch.tensor([place.get(part.label[row] or "", -1) for row in labelled], device=device)
        own = logits.gather(1, truth.clamp(min=0).unsqueeze(1))
        ahead = (logits >= own).sum(dim=1) - 1
        right += int(((ahead == 0) & (truth >= 0)).sum())
        counted += len(labelled)
    if not counted:
        raise UserError(
            "no picture that can be read has a class",
            where=index.shards[0].path,
            mend="name the JSON field of the classes with --class-field",
        )
    return right / counted
