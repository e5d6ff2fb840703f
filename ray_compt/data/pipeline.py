"""Ray Data inside a training worker: from steps to batches of tensors.

    windows (items) --> ReadWindows (tasks) --> DecodeRows (tasks) --> iter_batches --> queue --> the training loop

One data set covers a *segment* of many windows, over the ends of epochs, so that an epoch costs no start-up;
the next segment starts while the last windows of the one before are still being consumed. The training loop
only ever waits at the queue, with a limit.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
import ray.data
import torch
from ray.data import DataContext, ExecutionResources, TaskPoolStrategy

from ray_compt.data.handover import Handover
from ray_compt.data.index import Index
from ray_compt.data.order import Order
from ray_compt.data.ray_internals import nearby, plan_with_the_whole_cluster
from ray_compt.data.sample_digest import total
from ray_compt.data.samples import BadSample, Batch
from ray_compt.data.tasks import DecodeRows, ReadWindows
from ray_compt.data.windows import WindowRead, window_reads
from ray_compt.errors import UserError, user_error_behind

if TYPE_CHECKING:
    from ray_compt.data.preprocess import Preprocess

SEGMENT_WINDOWS = 256
# Decoded blocks: small enough for the first batch to come early and for decoding to spread over tasks.
_BLOCK_BYTES = 4 << 20
_PREFETCHED_BATCHES = 2
_QUEUED_BATCHES = 2
_STOP_S = 3.0
# Windows left when the next segment starts: time for Ray to plan it and fill its first batches.
_LEAD_WINDOWS = 2
# Where Ray Data talks to the terminal although nothing is wrong, and from which level on it may.
_CHATTER = {
    "ray.data._internal.progress": logging.ERROR,
    "ray.data._internal.execution.streaming_executor": logging.WARNING,
}


def worker_batches(
    index: Index,
    order: Order,
    preprocess: Preprocess,
    *,
    rank: int,
    world: int,
    first_step: int,
    last_step: int,
    reader_cpus: float,
    readers: int | None = None,
    first_batch_timeout_s: float = 300.0,
    segment_windows: int = SEGMENT_WINDOWS,
) -> Iterator[Batch]:
    """This worker's share of the global batches of steps [first_step, last_step), in order; reading starts at once.

    Step s is batch s % batches_per_epoch of epoch s // batches_per_epoch. What was consumed before `first_step`
    is not decoded again; at most the rest of one window is read again.

    Args:
        index: the data.
        order: must be made from `index.sizes`.
        preprocess: the training side is used.
        rank: this worker's number.
        world: number of workers, a divisor of the lanes.
        first_step: the first step wanted.
        last_step: the step after the last one wanted.
        reader_cpus: logical CPUs of each reading or decoding task. Two tasks must fit beside the workers, or
            one where `readers` is 1.
        readers: decoding tasks at a time; by default this worker's share of the cluster's cores.
        first_batch_timeout_s: longest wait for any batch.
        segment_windows: windows of one Ray data set.

    Raises:
        UserError: no batch within the time, `world` does not divide the lanes, or the data changed.
    """
    hush()
    plan_with_the_whole_cluster()
    windows = window_reads(index, order, rank=rank, world=world, first_step=first_step, last_step=last_step)
    build = _Build(
        read=ReadWindows(index.source),
        decode=DecodeRows(preprocess),
        rows=order.global_batch // world,
        reader_cpus=reader_cpus,
        readers=readers or _readers(world),
        world=world,
    )
    segments = _segments(windows, segment_windows)
    feeders = (_Feeder(build, segment) for segment in segments)
    # The first one starts now, not at the first batch: reading fills while the caller builds its engine.
    return _batches(list(islice(feeders, 1)), feeders, first_step, first_batch_timeout_s)


def _batches(
    running: list[_Feeder], later: Iterator[_Feeder], step: int, timeout_s: float
) -> Iterator[Batch]:
    """The batches of the running feeders and of those that follow, each started shortly before its turn."""
    try:
        while running:
            while (batch := running[0].next(timeout_s)) is not None:
                yield replace(batch, step=step)
                step += 1
                if running[0].nearly_done and len(running) == 1:
                    running += islice(later, 1)
            running.pop(0)
    finally:
        for feeder in running:
            feeder.stop()


@dataclass(frozen=True)
class _Build:
    """What every segment's data set has in common."""

    read: ReadWindows
    decode: DecodeRows
    rows: int
    reader_cpus: float
    readers: int
    world: int

    def dataset(self, windows: list[WindowRead]) -> ray.data.Dataset:
        with DataContext.current(quiet_context(self.world)):
            items = ray.data.from_items(
                [{"window": window.to_json()} for window in windows], override_num_blocks=len(windows)
            )
            # Ray fuses steps of equal size into one task: what one reader wants, and nobody else.
            reading = 1 if self.readers <= 2 else 2
            rows = items.map_batches(
                self.read,
                batch_size=1,
                batch_format="pyarrow",
                num_cpus=self.reader_cpus,
                compute=TaskPoolStrategy(size=reading),
                scheduling_strategy=nearby(),
            )
            return rows.map_batches(
                self.decode,
                batch_size=None,
                batch_format="pyarrow",
                num_cpus=self.reader_cpus,
                compute=TaskPoolStrategy(size=self.readers),
                scheduling_strategy=nearby(),
            )


class _Feeder:
    """Runs one segment in a thread and holds a few batches ready.

    The thread exists so that waiting can have an end, as Ray Data's own iterator waits for ever, and so that copies
    are made while the training loop computes.
    """

    def __init__(self, build: _Build, windows: list[WindowRead]):
        self._build, self._windows = build, windows
        self._left = sum(window.batches for window in windows)
        self._lead = sum(window.batches for window in windows[-_LEAD_WINDOWS:])
        self._batches = Handover(_QUEUED_BATCHES)
        self._dataset: ray.data.Dataset | None = None
        self._thread = threading.Thread(target=self._run, name="batches", daemon=True)
        self._thread.start()

    @property
    def nearly_done(self) -> bool:
        return self._left <= self._lead

    def next(self, timeout_s: float) -> Batch | None:
        """The next batch, without its step; None after the last."""
        try:
            item = self._batches.get(timeout_s)
        except queue.Empty:
            raise _nothing_came(timeout_s, self._build.reader_cpus) from None
        if isinstance(item, BaseException):
            raise user_error_behind(item) or item
        self._left -= 1
        return item

    def stop(self) -> None:
        self._batches.stop()
        self._thread.join(timeout=_STOP_S)
        if self._thread.is_alive() and self._dataset is not None:
            _end_execution(self._dataset)
            self._thread.join(timeout=_STOP_S)

    def _run(self) -> None:
        try:
            self._dataset = self._build.dataset(self._windows)
            for columns in self._dataset.iter_batches(
                batch_size=self._build.rows, batch_format="numpy", prefetch_batches=_PREFETCHED_BATCHES
            ):
                self._batches.put(_batch(columns))
                if self._batches.stopped:
                    return
            self._batches.put(None)
        except Exception as error:
            self._batches.put(error)


def _end_execution(dataset: ray.data.Dataset) -> None:
    """End a run that is stuck before its next block; Ray Data itself lets go only between two blocks.

    A run left behind would even start a new Ray once this one is shut down.
    """
    name = f"StreamingExecutor-{dataset.get_dataset_id()}"
    executors: list[Any] = [thread for thread in threading.enumerate() if thread.name == name]
    for executor in executors:
        executor.shutdown(force=True)


def _segments(windows: Iterator[WindowRead], count: int) -> Iterator[list[WindowRead]]:
    while segment := list(islice(windows, count)):
        yield segment


def _batch(columns: dict[str, np.ndarray]) -> Batch:
    keys = columns["key"].tolist()
    valid = columns["valid"].astype(bool)
    bad = [BadSample(keys[i], columns["shard"][i], columns["error"][i]) for i in np.flatnonzero(~valid)]
    return Batch(
        step=-1,
        image=_copied(columns["image"], torch.uint8),
        text=_copied(columns["text"], torch.int64),
        valid=torch.from_numpy(valid),
        keys=keys,
        digest=total(columns["word_0"], columns["word_1"]),
        bad=bad,
        labels=columns["label"].tolist(),
    )


def _copied(column: np.ndarray, dtype: torch.dtype) -> torch.Tensor:
    """Ray's arrays are read-only views of its object store; a copy lets go of the store at once.

    Where there is a GPU, it lies in memory that a GPU copies from while it computes.
    """
    copy = torch.empty(column.shape, dtype=dtype, pin_memory=torch.cuda.is_available())
    np.copyto(copy.numpy(), column)
    return copy


def quiet_context(world: int = 1) -> DataContext:
    """A copy of the process's Ray Data settings: ordered, silent, leaving room for the others of `world` readers."""
    context = DataContext.get_current().copy()
    context.execution_options.preserve_order = True
    store = ray.cluster_resources().get("object_store_memory", 0)
    if store:
        context.execution_options.resource_limits = ExecutionResources(
            object_store_memory=store / (2 * world)
        )
    context.target_max_block_size = _BLOCK_BYTES
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.enable_auto_log_stats = False
    context.issue_detectors_config.detectors = []
    # It would take a long pause of the training loop for a hang; the limit at the queue does not.
    context.execution_no_progress_timeout_s = -1
    return context


def hush() -> None:
    """Keep Ray Data off the terminal, except where ray_compt itself is asked for everything (-v)."""
    if not logging.getLogger("ray_compt").isEnabledFor(logging.DEBUG):
        for name, level in _CHATTER.items():
            logging.getLogger(name).setLevel(level)
        # A short segment has fewer windows than there are readers.
        warnings.filterwarnings("ignore", message="The maximum number of concurrent tasks")


def _readers(world: int) -> int:
    """Decoding tasks for one of `world` workers: its share of the cores that really exist."""
    return max(1, cluster_cores() // world)


def cluster_cores() -> int:
    """Cores that the cluster really has: what Ray counts, but no more than its nodes have, at least 1."""
    nodes = sum(node["Alive"] for node in ray.nodes())
    return max(1, int(min(ray.cluster_resources().get("CPU", 1), nodes * (os.cpu_count() or 1))))


def _nothing_came(timeout_s: float, reader_cpus: float) -> UserError:
    free, total = (found.get("CPU", 0.0) for found in (ray.available_resources(), ray.cluster_resources()))
    return UserError(
        f"no batch of data came within {timeout_s:g} s; {free:g} of the cluster's {total:g} CPUs are free and "
        f"each reading task needs {reader_cpus:g}",
        where="data",
        mend="free CPUs (fewer workers, or lower workers.cpus or data.reader_cpus), or check that the storage answers",
    )
