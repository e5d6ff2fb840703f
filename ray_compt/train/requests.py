"""What a running stage may be asked for between two steps, and how all workers hear of it at the same step.

Rank 0 looks at the board in the background. What it has seen travels with the step's own all-reduce, so that
every worker acts after the same step without a collective of its own.
"""

from __future__ import annotations

import time
from enum import IntEnum
from typing import Any

import ray
import torch
from torch import Tensor

LOOK_EVERY_S = 0.1


class Request(IntEnum):
    """Asked of a running stage; the value is what rank 0 adds to the step's sums.

    SAVE: write a checkpoint and go on. PAUSE: write one and wait to be replaced by another number of workers.
    STOP: write one and return.
    """

    NONE = 0
    SAVE = 1
    PAUSE = 2
    STOP = 3


NAMES = {request.name.lower(): request for request in Request}


class Mailbox:
    """Rank 0's view of the board's requests; looking costs microseconds and never waits."""

    def __init__(self, board: Any, *, rank: int):
        self._board = board if rank == 0 else None
        self._pending: Any = None
        self._looked = 0.0
        self._newest: tuple[int, str | None] = (0, None)
        self._done = 0

    def look(self) -> Request:
        """What to announce with this step; NONE on other ranks."""
        if self._board is None:
            return Request.NONE
        if self._pending is not None and ray.wait([self._pending], timeout=0)[0]:
            self._take()
        elif self._pending is None and time.monotonic() - self._looked > LOOK_EVERY_S:
            self._looked = time.monotonic()
            self._pending = self._board.request.remote()
        number, name = self._newest
        return NAMES[name] if name and number > self._done else Request.NONE

    def begin(self) -> None:
        """Tell the board that all workers know of the newest request."""
        if self._board is not None:
            self._board.begin.remote(self._newest[0])

    def answer(self) -> None:
        """Tell the board that the newest request has been fulfilled."""
        self._done = self._newest[0]
        if self._board is not None:
            self._board.answer.remote(self._done)

    def _take(self) -> None:
        try:
            self._newest = ray.get(self._pending)
        except ray.exceptions.RayError:
            # Without a board there is nobody left who could ask.
            self._board = None
        self._pending = None


class OneStepLate:
    """Reads a number from the device without waiting for the step that is being computed.

    On a GPU, `push` returns the number of the step before, whose copy has ended by then; on a CPU the current one.
    """

    def __init__(self) -> None:
        self._copy: tuple[Tensor, Any] | None = None

    def push(self, number: Tensor) -> float:
        if number.device.type != "cuda":
            return float(number)
        before, self._copy = self._copy, _start_copy(number)
        if before is None:
            return 0.0
        copy, copied = before
        copied.synchronize()
        return float(copy)


def _start_copy(number: Tensor) -> tuple[Tensor, Any]:
    copy = torch.empty((), dtype=number.dtype, pin_memory=True)
    copy.copy_(number.detach(), non_blocking=True)
    copied = torch.cuda.Event()
    copied.record()
    return copy, copied
