"""Whole epochs as arrays on the disk, because hundreds of trainings see the same augmented pictures.

The content is that of `compt train`: its order of samples, its augmentation, its tokens.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ray_compt.data import Batch, Index, Order, Preprocess
from ray_compt.data.windows import read_window, window_reads


@dataclass(frozen=True)
class Epochs:
    """The training data of one seed.

    Attributes:
        index: the training split.
        order: of its samples.
        preprocess: how a sample becomes tensors.
        folder: where epochs are kept.
    """

    index: Index
    order: Order
    preprocess: Preprocess
    folder: Path

    def batches(self, steps: int) -> Iterator[Batch]:
        """Global batches 0 to `steps` - 1."""
        per_epoch = self.order.batches_per_epoch
        for epoch in range(-(-steps // per_epoch)):
            images, texts = (np.load(path, mmap_mode="r") for path in self._files(epoch))
            for batch in range(min(per_epoch, steps - epoch * per_epoch)):
                rows = slice(batch * self.order.global_batch, (batch + 1) * self.order.global_batch)
                yield _batch(epoch * per_epoch + batch, images[rows], texts[rows])

    def _files(self, epoch: int) -> tuple[Path, Path]:
        """Pictures uint8 [n, 3, H, W] and tokens int64 [n, K, L] of an epoch's samples in the order of its batches."""
        images, texts = (
            self.folder / f"{self.order.seed}-{epoch}-{kind}.npy" for kind in ("images", "texts")
        )
        if not texts.exists():
            pictures, tokens = self._read(epoch)
            _save(images, pictures)
            # Last: where this one is, both are.
            _save(texts, tokens)
        return images, texts

    def _read(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        first = epoch * self.order.batches_per_epoch
        last = first + self.order.batches_per_epoch
        windows = window_reads(self.index, self.order, rank=0, world=1, first_step=first, last_step=last)
        rows = (row for window in windows for row in read_window(self.index.source, window))
        # A sample that cannot be decoded raises: the experiment wants whole data.
        pictures, tokens = zip(*(self.preprocess.train(row.raw, row.epoch) for row in rows))
        return torch.stack(pictures).numpy(), torch.stack(tokens).numpy()


def _save(path: Path, array: np.ndarray) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, array)
    part.replace(path)


def _batch(step: int, images: np.ndarray, texts: np.ndarray) -> Batch:
    valid = torch.ones(len(images), dtype=torch.bool)
    return Batch(step, torch.from_numpy(images.copy()), torch.from_numpy(texts.copy()), valid, [])
