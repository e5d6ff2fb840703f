"""How many replicas a service should have. Pure."""

from __future__ import annotations

from dataclasses import dataclass

# Looks in a row that must agree, so that one burst or one pause changes nothing.
LOOKS_UP, LOOKS_DOWN = 3, 15
BUSY, IDLE = 0.9, 0.3


@dataclass(frozen=True)
class Bounds:
    """Fewest and most replicas."""

    least: int
    most: int


@dataclass
class Autoscaler:
    """Follows the queue: up while every replica is busy and requests wait, down while one fewer would do."""

    bounds: Bounds
    _up: int = 0
    _down: int = 0

    def wanted(self, running: int, busy: float, waiting: int, rows: int) -> int:
        """The number of replicas after another look.

        Args:
            running: replicas now.
            busy: their mean share of time spent computing since the look before, 0 to 1.
            waiting: samples waiting for all of them together.
            rows: samples that one computes at once.
        """
        crowded = busy > BUSY and waiting > running * rows
        spare = running > 1 and busy * running / (running - 1) < IDLE
        self._up = self._up + 1 if crowded else 0
        self._down = self._down + 1 if spare else 0
        if self._up >= LOOKS_UP:
            self._up, running = 0, running + 1
        elif self._down >= LOOKS_DOWN:
            self._down, running = 0, running - 1
        return min(max(running, self.bounds.least), self.bounds.most)
