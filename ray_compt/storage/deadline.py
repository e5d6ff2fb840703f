"""A bound on how long a call may take, for drivers whose own time-outs leave a gap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, which runs in a thread of its own and is left behind where it takes too long.

    A reply of a byte a second passes every time-out between two bytes; only the whole call can be bounded.

    Raises:
        TimeoutError: no result within `seconds`.
    """
    results: list[Any] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not results:
        raise TimeoutError(f"no whole answer within {seconds:g} s")
    return results[0]
