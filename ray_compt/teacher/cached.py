"""A teacher that is asked only for what the feature cache does not know.

Every feature passes through float16, whether it was read or has just been computed, so that the cache's being empty,
full or half full changes nothing in the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ray_compt.data import Batch, Order
from ray_compt.data.order import EpochOrder
from ray_compt.data.randomness import draw_epoch
from ray_compt.storage.deadline import Background
from ray_compt.teacher.feature_cache import FeatureCache
from ray_compt.teacher.feature_ranges import WindowRows
from ray_compt.teacher.feature_window import FAULTS, FeatureWindow, Note, reason
from ray_compt.teacher.lessons import Early, TeacherClient

# Longest wait for a window's files; remote stores end their own retries before.
LONGEST_S = 60.0
# Damaged files that are named one by one.
NOTES = 5


@dataclass
class _Window:
    """A window in use.

    Attributes:
        content: its features.
        loading: the reading of its files.
        left: steps of it that have not been answered.
    """

    content: FeatureWindow
    loading: Background
    left: int


@dataclass
class _Request:
    """A batch's question.

    Attributes:
        rows: int64 [n], numbers of its samples in the window.
        missing: int64, rows of the batch that the teacher was asked for; None: not looked at yet.
        asked: the teacher's own request.
    """

    batch: Batch
    window: _Window
    rows: np.ndarray
    missing: np.ndarray | None = None
    asked: Any = field(default=None, repr=False)


class CachedTeacher:
    """The client of one worker; batches must come in the order of their steps.

    It holds the features of the windows whose batches are under way, and of the next one, which is read ahead.

    Args:
        cache: where features are kept.
        create: makes the client of the real teacher; called at the first feature that is missing.
        order: of the samples.
        rank, world: which worker this is.
        last_step: no batch from this step on is asked for.
        note: called with a line for people.
        computed: called with numbers of samples whose features the teacher has computed.
    """

    early = Early.BETWEEN_STEPS

    def __init__(
        self,
        cache: FeatureCache,
        create: Callable[[], TeacherClient],
        *,
        order: Order,
        rank: int,
        world: int,
        last_step: int,
        note: Note,
        computed: Callable[[int], object],
    ):
        self._cache, self._create, self._note, self._report = cache, create, note, computed
        self._order, self._last_step = order, last_step
        self._lanes = order.lanes_of(rank, world)
        self._epoch: EpochOrder | None = None
        self._windows: dict[int, _Window] = {}
        self._client: TeacherClient | None = None
        self._writing: Background | None = None
        self._readable = self._writable = True
        self._noted = self._computed = 0

    def request(self, batch: Batch) -> _Request:
        """Ask for a batch's features; returns at once."""
        window = self._window(batch.step)
        request = _Request(batch, window, window.content.rows.rows(batch.step))
        # While files are still being read nobody knows what is missing; `result` asks then.
        if window.loading.ended.is_set():
            self._ask(request)
        return request

    def result(self, request: _Request) -> tuple[Tensor, Tensor]:
        """float32 [n, E] and [n, K, E], rounded to float16; zeros for rows that are not valid and unknown."""
        if request.missing is None:
            self._ask(request)
        content, rows = request.window.content, request.rows
        if request.asked is not None:
            assert self._client is not None and request.missing is not None
            found = self._client.result(request.asked)
            image, text = (part.half().cpu().numpy() for part in found)
            # The teacher has also seen the empty pictures of samples that could not be read.
            valid = request.batch.valid.numpy()[request.missing]
            asked = rows[request.missing[valid]]
            content.features.put(asked, image[valid], text[valid])
            content.fresh[asked] = content.features.known[asked]
        content.seen[rows] = True
        # Indexing with numbers copies, so that the window may go.
        answer = content.features.image[rows], content.features.text[rows]
        self._answered(request.window)
        return torch.from_numpy(answer[0]).float(), torch.from_numpy(answer[1]).float()

    def close(self) -> None:
        """Write what is complete and what is not, and wait for it; the client can be used on."""
        for window in self._windows.values():
            if window.content.fresh.any():
                self._save(window)
        self._wait_for_writing()

    def _ask(self, request: _Request) -> None:
        self._wait_for_reading(request.window)
        valid, known = request.batch.valid.numpy(), request.window.content.features.known[request.rows]
        request.missing = np.flatnonzero(valid & ~known)
        if not len(request.missing):
            return
        batch = request.batch
        if (valid & known).any():
            batch = _rows(batch, request.missing)
        else:
            request.missing = np.arange(len(valid))
        if self._client is None:
            self._client = self._create()
        request.asked = self._client.request(batch)
        self._computed += len(request.missing)

    def _window(self, step: int) -> _Window:
        """The window of a step, and the next one on its way."""
        window = self._opened(step)
        following = window.content.rows.steps.stop
        if following < self._last_step:
            self._opened(following)
        return window

    def _opened(self, step: int) -> _Window:
        epoch, batch = divmod(step, self._order.batches_per_epoch)
        begin = step - batch % self._order.window_batches
        if begin not in self._windows:
            if self._epoch is None or self._epoch.epoch != epoch:
                self._epoch = self._order.epoch(epoch)
            rows = WindowRows(self._epoch, batch // self._order.window_batches, self._lanes)
            draw = draw_epoch(epoch, self._cache.spec.augment_epochs)
            content = FeatureWindow(self._cache, rows, draw)
            left = min(rows.steps.stop, self._last_step) - step
            self._windows[begin] = _Window(content, Background(lambda: self._load(content)), left)
        return self._windows[begin]

    def _answered(self, window: _Window) -> None:
        window.left -= 1
        if not window.left:
            del self._windows[window.content.rows.steps.start]
            self._save(window)

    def _load(self, content: FeatureWindow) -> None:
        if self._readable:
            content.load(self._note_damage)

    def _wait_for_reading(self, window: _Window) -> None:
        try:
            window.loading.wait(LONGEST_S)
        except (*FAULTS, TimeoutError) as error:
            if self._readable:
                self._note(
                    f"{self._cache} cannot be read ({reason(error)}): the teacher computes its features"
                )
            self._readable = False

    def _save(self, window: _Window) -> None:
        if self._computed:
            self._report(self._computed)
            self._computed = 0
        # One window at a time is written while another one fills: a slow disk slows the stage, not its memory.
        self._wait_for_writing()
        if self._writable:
            self._writing = Background(window.content.save)

    def _wait_for_writing(self) -> None:
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.wait(LONGEST_S)
        except (*FAULTS, TimeoutError) as error:
            self._note(f"{self._cache} cannot be written ({reason(error)}): no further features are kept")
            self._writable = False

    def _note_damage(self, text: str) -> None:
        self._noted += 1
        if self._noted <= NOTES:
            self._note(text)


def _rows(batch: Batch, rows: np.ndarray) -> Batch:
    """Some rows of a batch."""
    chosen = torch.from_numpy(rows)
    image, text, valid = (part[chosen] for part in (batch.image, batch.text, batch.valid))
    return replace(batch, image=image, text=text, valid=valid, keys=[batch.keys[i] for i in rows])
