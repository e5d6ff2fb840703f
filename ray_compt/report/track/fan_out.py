"""All trackers of a run behind one object, in a thread of their own: no service can hold up or stop training."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ray_compt.report.track.tracker import Tracker

WAITING = 10_000
CLOSE_S = 60.0

_Work = Callable[[Tracker], None]


class Trackers:
    """Passes values on. A tracker that raises gets one line and no more values; training goes on.

    Args:
        trackers: opened ones; none: nothing is done.
        warn: takes that line, in this object's thread.
    """

    def __init__(self, trackers: Sequence[Tracker] = (), warn: Callable[[str], None] = print):
        self._trackers, self._warn = list(trackers), warn
        self._queue: queue.Queue[_Work | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None
        if trackers:
            self._thread = threading.Thread(target=self._work, name="trackers", daemon=True)
            self._thread.start()

    def log(self, stage: str, step: int, values: Mapping[str, object]) -> None:
        """As `Tracker.log`, without waiting; what is no finite number is left out."""
        if self._thread is None:
            return
        numbers = {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        # A service that is this far behind loses numbers, which are in metrics.jsonl.
        with suppress(queue.Full):
            self._queue.put_nowait(lambda tracker: tracker.log(stage, step, numbers))

    def close(self, *, failed: bool) -> None:
        """End the run in every service; what does not end in `CLOSE_S` is left behind."""
        if self._thread is None:
            return
        end = time.monotonic() + CLOSE_S
        with suppress(queue.Full):
            self._queue.put(lambda tracker: tracker.close(failed=failed), timeout=CLOSE_S)
            self._queue.put(None, timeout=max(0.0, end - time.monotonic()))
        self._thread.join(max(0.0, end - time.monotonic()))
        if self._thread.is_alive():
            self._warn(f"trackers have not ended after {CLOSE_S:g} s; metrics.jsonl has all numbers")
        self._thread = None

    def _work(self) -> None:
        while (work := self._queue.get()) is not None:
            for tracker in list(self._trackers):
                try:
                    work(tracker)
                # Whatever a service's library raises.
                except Exception as error:
                    self._trackers.remove(tracker)
                    reason = " ".join(str(error).split())[:200] or type(error).__name__
                    self._warn(f"{tracker.name} gets no more numbers ({reason}); metrics.jsonl has them all")


def prefixed(group: str, values: Mapping[str, object]) -> dict[str, object]:
    """The same values under TensorBoard's names: "loss" of the group "train" is "train/loss"."""
    return {f"{group}/{name}": value for name, value in values.items()}
