"""Rank 0's view of the board on which a running stage is asked for something."""

from __future__ import annotations

import time
from typing import Any

import ray

from ray_compt.train.requests import NAMES, Request

LOOK_EVERY_S = 0.1


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
