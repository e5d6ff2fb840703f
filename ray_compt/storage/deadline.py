"""Calls for which one waits only so long: a disk or a store that hangs must not hold everything up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Background(Generic[T]):
    """Runs `call` at once in a daemon thread.

    Not `Thread.join`: an interrupted one marks a running thread as ended (CPython before 3.13).

    Attributes:
        ended: set when `call` has.
        failure: what it raised.
    """

    def __init__(self, call: Callable[[], T], name: str = "background"):
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self._call = call
        self._result: Any = None
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def wait(self, seconds: float) -> T:
        """The result of `call`.

        Raises:
            BaseException: what `call` raised.
            TimeoutError: none within `seconds`; the thread is left behind.
        """
        if not self.ended.wait(seconds):
            raise TimeoutError(f"no whole answer within {seconds:g} s")
        if self.failure is not None:
            raise self.failure
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._call()
        except BaseException as error:
            self.failure = error
        finally:
            self.ended.set()


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, for drivers whose own time-outs leave a gap.

    A reply of a byte a second passes every time-out between two bytes; only the whole call can be bounded.

    Raises:
        TimeoutError: no result within `seconds`.
    """
    return Background(call).wait(seconds)
