"""Joining the requests of many callers into batches for one model. Threads, no Ray."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Arrays = tuple[np.ndarray, np.ndarray]
Compute = Callable[["torch.Tensor", "torch.Tensor"], tuple["torch.Tensor", "torch.Tensor"]]

LINGER_S = 0.003
# Parts of `rows` that are joined at most: enough to keep a device busy, few enough for an answer to come soon.
JOINED_PARTS = 8


@dataclass(frozen=True)
class Load:
    """How much there is to do.

    Attributes:
        served: samples answered since the start.
        waiting: samples that wait or are being computed.
        busy_s: seconds spent computing since the start.
        oldest_s: age of the oldest request that is not answered, seconds; 0 without one.
        error: largest 1 - cos of the features of the first request to those in fp32; None: not measured.
    """

    served: int
    waiting: int
    busy_s: float
    oldest_s: float
    error: float | None = None


NOTHING = Load(0, 0, 0.0, 0.0)


@dataclass
class _Request:
    images: np.ndarray
    tokens: np.ndarray
    future: Future[Arrays]
    since: float

    @property
    def rows(self) -> int:
        return len(self.images)


class Batcher:
    """Answers requests from any thread, in the order of their coming, some of them together.

    Args:
        compute: features of a batch, called in one thread of the batcher's.
        rows: samples that `compute` runs at once; a smaller request waits `linger_s` for others to share with.
    """

    def __init__(self, compute: Compute, rows: int, linger_s: float = LINGER_S):
        self._compute, self._rows, self._linger_s = compute, rows, linger_s
        self._queue: queue.Queue[_Request | None] = queue.Queue()
        self._lock = threading.Lock()
        self._unanswered: dict[int, _Request] = {}
        self._served = 0
        self._busy_s = 0.0
        self._thread = threading.Thread(target=self._run, name="features", daemon=True)
        self._thread.start()

    def submit(self, images: np.ndarray, tokens: np.ndarray) -> Future[Arrays]:
        """Ask for the features of uint8 [n, 3, H, W] and int64 [n, K, L]: float32 [n, E] and [n, K, E]."""
        request = _Request(images, tokens, Future(), time.monotonic())
        with self._lock:
            self._unanswered[id(request)] = request
        self._queue.put(request)
        return request.future

    def load(self) -> Load:
        with self._lock:
            waiting = list(self._unanswered.values())
            oldest = min((request.since for request in waiting), default=time.monotonic())
            rows = sum(request.rows for request in waiting)
            return Load(self._served, rows, self._busy_s, time.monotonic() - oldest if waiting else 0.0)

    def close(self) -> None:
        """Answer what has been asked, then end."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            together = self._gather(first)
            began = time.monotonic()
            self._answer(together)
            self._busy_s += time.monotonic() - began

    def _gather(self, first: _Request) -> list[_Request]:
        """The first request and those that came meanwhile, of the same shapes, up to `JOINED_PARTS` parts."""
        together, rows = [first], first.rows
        until = time.monotonic() + self._linger_s
        while rows < JOINED_PARTS * self._rows:
            try:
                # A whole number of parts has nothing to gain from waiting.
                patience = max(0.0, until - time.monotonic()) if rows % self._rows else 0.0
                more = self._queue.get(timeout=patience) if patience else self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None or not _alike(first, more):
                # Back to where it came from; the thread meets it next, or after those that came since.
                self._queue.put(more)
                break
            together.append(more)
            rows += more.rows
        return together

    def _answer(self, together: list[_Request]) -> None:
        try:
            images, text = self._compute(
                _joined([request.images for request in together]),
                _joined([request.tokens for request in together]),
            )
            found = images.cpu().numpy(), text.cpu().numpy()
        except BaseException as error:
            for request in together:
                self._done(request)
                request.future.set_exception(error)
            return
        start = 0
        for request in together:
            end = start + request.rows
            self._done(request)
            request.future.set_result((found[0][start:end], found[1][start:end]))
            start = end

    def _done(self, request: _Request) -> None:
        with self._lock:
            self._unanswered.pop(id(request), None)
            self._served += request.rows


def _alike(one: _Request, other: _Request) -> bool:
    return one.images.shape[1:] == other.images.shape[1:] and one.tokens.shape[1:] == other.tokens.shape[1:]


def _joined(arrays: list[np.ndarray]) -> torch.Tensor:
    import torch

    # Arrays from the object store are read-only, which torch warns about; joining copies anyway.
    return torch.from_numpy(np.concatenate(arrays) if len(arrays) > 1 else arrays[0].copy())
