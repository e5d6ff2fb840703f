"""Signals that must not get lost while a stage is waited for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Noted:
    """Signals that have arrived and whose exception has not been seen yet."""

    def __init__(self) -> None:
        self._arrived: list[tuple[Any, int]] = []

    def add(self, handler: Any, number: int) -> None:
        self._arrived.append((handler, number))

    def clear(self) -> None:
        """Their exception has been seen."""
        self._arrived.clear()

    def check(self) -> None:
        """Let the handler of a signal raise once more, where code in between has swallowed its exception."""
        if self._arrived:
            handler, number = self._arrived.pop()
            handler(number, None)


@contextmanager
def noted_signals() -> Iterator[Noted]:
    """Note SIGINT and SIGTERM on their way to the handlers that are installed; nothing in other threads."""
    noted = Noted()
    if threading.current_thread() is not threading.main_thread():
        yield noted
        return
    installed = {number: signal.getsignal(number) for number in NUMBERS}
    before = {number: handler for number, handler in installed.items() if callable(handler)}

    def handle(number: int, frame: FrameType | None) -> None:
        handler: Any = before[signal.Signals(number)]
        noted.add(handler, number)
        handler(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
