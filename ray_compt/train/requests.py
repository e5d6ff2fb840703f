"""What a running stage may be asked for between two steps, and how all workers hear of it at the same step.

What rank 0 has seen on the board (`mailbox.py`) travels with the step's own all-reduce, so that every worker acts
after the same step without a collective of its own.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import torch
from torch import Tensor


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
