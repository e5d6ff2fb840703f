"""clip_benchmark's `accuracy`, which numpy 2.4 breaks: 1.6.2 takes `float()` of an array with one element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor


def accuracy(output: Tensor, target: Tensor, topk: Sequence[int] = (1,)) -> list[float]:
    """Share of rows whose class is among the k largest outputs, for each k.

    Args:
        output: [N, C] logits.
        target: [N] classes.
        topk: the values of k, at most C.
    """
    best = output.topk(max(topk), dim=1).indices
    hits = best == target.view(-1, 1)
    return [hits[:, :k].any(dim=1).double().mean().item() for k in topk]


@contextmanager
def mended_accuracy() -> Iterator[None]:
    """Let clip_benchmark's classification and linear probe use the function above while the block runs."""
    from clip_benchmark.metrics import linear_probe, zeroshot_classification

    modules = (zeroshot_classification, linear_probe)
    originals = [module.accuracy for module in modules]
    for module in modules:
        module.accuracy = accuracy
    try:
        yield
    finally:
        for module, original in zip(modules, originals):
            module.accuracy = original
