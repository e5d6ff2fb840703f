"""From a thread that makes things to one that takes them."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import Any

_POLL_S = 0.2


class Handover:
    """A queue of at most `size` things, whose maker ends soon after `stop` although nobody takes them any more."""

    def __init__(self, size: int):
        self._queue: queue.Queue[Any] = queue.Queue(size)
        self._stopped = threading.Event()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def put(self, item: Any) -> None:
        """Wait for room; once stopped, the item is dropped."""
        while not self.stopped:
            with suppress(queue.Full):
                self._queue.put(item, timeout=_POLL_S)
                return

    def get(self, timeout_s: float | None = None) -> Any:
        """The next thing. Raises queue.Empty where none comes within the time."""
        return self._queue.get(timeout=timeout_s)

    def stop(self) -> None:
        self._stopped.set()
