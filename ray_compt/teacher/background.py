"""A call in a thread of its own, for which one waits only so long: a disk that hangs must not hold training up."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """Runs `call` at once in a daemon thread.

    Attributes:
        failure: what `call` raised.
    """

    def __init__(self, call: Callable[[], None]):
        self.failure: Exception | None = None
        self._call = call
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="features", daemon=True).start()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Wait for the end.

        Raises:
            Exception: what `call` raised.
            TimeoutError: it takes longer; the thread is left behind.
        """
        if not self._ended.wait(seconds):
            raise TimeoutError(f"no answer for {seconds:g} s")
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:
            self.failure = error
        finally:
            self._ended.set()
