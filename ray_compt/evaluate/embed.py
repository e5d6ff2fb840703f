"""Features of whole splits: what the metrics compare.

A `View` is what a task wants to see of a data set; an `Embedding` turns views and tokens into features, `Here` in this
process, `cluster.OnCluster` on the replicas of a Ray cluster. Both run the same `Embedder`.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ray_compt.data import EvalBatch, EvalWindow, Index, Preprocess, decode_window, evaluation_windows
from ray_compt.errors import UserError
from ray_compt.evaluate.corruptions import Corruption
from ray_compt.evaluate.embedder import Embedder

# Called with the number of pictures, or captions, that were just embedded.
Progress = Callable[[int], None]
T = TypeVar("T")
MOST_THREADS = 8


def ignore(_count: int) -> None:
    """The progress that nobody watches."""


@dataclass(frozen=True)
class Split:
    """A data set as tasks name it.

    Attributes:
        name: how it was named, for people.
        fields: what is read of a sample (caption field, class field).
        samples: take only so many, spread evenly; None: all.
        index: its samples.
    """

    name: str
    fields: tuple[str, str | None]
    samples: int | None
    index: Index = field(compare=False)

    @property
    def size(self) -> int:
        """Samples that are taken."""
        return self.index.samples if self.samples is None else min(self.samples, self.index.samples)


@dataclass(frozen=True)
class View:
    """A split, perhaps with its pictures made worse."""

    split: Split
    corruption: Corruption | None = None

    def windows(self, rows: int) -> Iterator[EvalWindow]:
        return evaluation_windows(self.split.index, rows, self.split.samples)


@dataclass(frozen=True)
class Pictures:
    """A view through a model.

    Attributes:
        features: [N, E] float32 of unit length on the CPU, the readable samples in the order of the split.
        captions: each picture's, the raw one first.
        labels: each picture's class, None where it has none.
        unreadable: samples that could not be decoded, and are left out.
    """

    features: Tensor
    captions: list[list[str]]
    labels: list[str | None]
    unreadable: int


class Embedding(Protocol):
    """Where a model's features come from."""

    def pictures(self, views: Sequence[View], progress: Progress = ignore) -> Mapping[View, Pictures]:
        """Every view's features. Raises UserError: a view without a readable picture."""
        ...

    def texts(self, tokens: Tensor, progress: Progress = ignore) -> Tensor:
        """Features [n, E] float32 of unit length on the CPU, of tokens int64 [n, L]."""
        ...


@dataclass(frozen=True)
class Here:
    """In this process, the next pictures being decoded meanwhile."""

    embedder: Embedder
    preprocess: Preprocess

    def pictures(self, views: Sequence[View], progress: Progress = ignore) -> Mapping[View, Pictures]:
        return {view: self._view(view, progress) for view in views}

    def texts(self, tokens: Tensor, progress: Progress = ignore) -> Tensor:
        parts = []
        for part in tokens.split(self.embedder.batch):
            parts.append(self.embedder.texts(part))
            progress(len(part))
        return torch.cat(parts)

    def _view(self, view: View, progress: Progress) -> Pictures:
        collected = Collected(view)
        jobs = (self._decoding(view, window) for window in view.windows(self.embedder.batch))
        for batch in ahead(jobs, decoding_threads()):
            features = self.embedder.pictures(batch.image)
            collected.add(features, batch.captions, batch.label, len(batch.bad))
            progress(len(batch.keys) + len(batch.bad))
        return collected.pictures()

    def _decoding(self, view: View, window: EvalWindow) -> Callable[[], EvalBatch]:
        return lambda: decode_window(view.split.index, self.preprocess, window, view.corruption)


class Collected:
    """Gathers the parts of one view."""

    def __init__(self, view: View):
        self._view = view
        self._features: list[Tensor] = []
        self._captions: list[list[str]] = []
        self._labels: list[str | None] = []
        self._unreadable = 0

    def add(
        self, features: Tensor, captions: list[list[str]], labels: list[str | None], unreadable: int
    ) -> None:
        if labels:
            self._features.append(features)
        self._captions += captions
        self._labels += labels
        self._unreadable += unreadable

    def pictures(self) -> Pictures:
        """Raises UserError: not one picture could be read."""
        if not self._labels:
            index = self._view.split.index
            raise UserError(
                f"none of the {self._view.split.size} samples to evaluate on can be decoded",
                where=index.shards[0].path,
                mend="give shards with whole pictures (JPEG, PNG, WebP) of at most 67,108,864 pixels",
            )
        return Pictures(torch.cat(self._features), self._captions, self._labels, self._unreadable)


def decoding_threads() -> int:
    """Threads that decode while another computes: Pillow lets them run at the same time."""
    return max(1, min(MOST_THREADS, len(os.sched_getaffinity(0)) - 1))


def ahead(jobs: Iterable[Callable[[], T]], threads: int) -> Iterator[T]:
    """Results of the jobs in order, each begun before the one ahead of it was asked for."""
    waiting: deque = deque()
    with ThreadPoolExecutor(threads) as pool:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
