"""How long the parts of a worker's start take, so that whoever wants it faster knows where to look."""

from __future__ import annotations

import time

import psutil


class StartUp:
    """Laps from the start of this process to the end of its first step.

    Attributes:
        seconds: of each part so far: "process" (Python, Ray, torch and the process group), then what `lap`
            names.
    """

    def __init__(self) -> None:
        self._last = time.time()
        self.seconds = {"process": round(self._last - psutil.Process().create_time(), 3)}

    def lap(self, part: str) -> None:
        """The time since the last lap belongs to `part`."""
        now = time.time()
        self.seconds[part] = round(now - self._last, 3)
        self._last = now
