"""Batches with the features that teach them, asked for as early as they can be."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from torch import Tensor

from ray_compt.data import Batch
from ray_compt.data.handover import Handover

STOP_S = 3.0
Features = tuple[Tensor, Tensor]


class Early(Enum):
    """What asking before a batch's turn gains.

    NOTHING: this process computes, and not before `result`. BETWEEN_STEPS: something, from the thread that takes the
    results. ANY_TIME: another process computes, and requests may come from another thread.
    """

    NOTHING = 0
    BETWEEN_STEPS = 1
    ANY_TIME = 2


class TeacherClient(Protocol):
    """What a worker asks for features: `request` returns at once, `result` waits."""

    early: Early

    def request(self, batch: Batch) -> Any: ...

    def result(self, request: Any) -> Features: ...


@dataclass(frozen=True)
class Lesson:
    """A batch and what its teachers say.

    Attributes:
        features: of each teacher, image [n, E] and text [n, K, E]; None from the step on that needs none.
        wait_s: seconds that the features were waited for once the batch was there.
    """

    batch: Batch
    features: tuple[Features, ...] | None
    wait_s: float


@dataclass(frozen=True)
class _Asked:
    batch: Batch
    requests: tuple[Any, ...] | None


def lessons(
    batches: Iterable[Batch], clients: Sequence[TeacherClient], last_step: int, ahead: int = 1
) -> Iterator[Lesson]:
    """The batches in order, each with its features.

    Where that gains anything, requests go out early: as soon as a batch leaves the loader, also while a step is being
    computed, or at least before the step.

    Args:
        clients: one a teacher; none: no batch has features.
        last_step: batches from this step on have none.
        ahead: batches that are asked for before their turn.
    """

    def asked() -> Iterator[_Asked]:
        for batch in batches:
            wanted = bool(clients) and batch.step < last_step
            yield _Asked(batch, tuple(client.request(batch) for client in clients) if wanted else None)

    for one in _early(asked(), {client.early for client in clients}, ahead):
        yield _answered(one, clients)


def _early(items: Iterator[_Asked], gains: set[Early], ahead: int) -> Iterator[_Asked]:
    if not gains or gains == {Early.NOTHING}:
        return items
    if Early.BETWEEN_STEPS in gains:
        return _between_steps(items, ahead)
    return _in_background(items, ahead)


def _between_steps(items: Iterator[_Asked], ahead: int) -> Iterator[_Asked]:
    waiting: deque[_Asked] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _answered(asked: _Asked, clients: Sequence[TeacherClient]) -> Lesson:
    if asked.requests is None:
        return Lesson(asked.batch, None, 0.0)
    began = time.monotonic()
    features = tuple(client.result(request) for client, request in zip(clients, asked.requests))
    return Lesson(asked.batch, features, time.monotonic() - began)


def _in_background(items: Iterator[_Asked], ahead: int) -> Generator[_Asked]:
    """The items, made in a thread that is at most `ahead` of them in front; its exception comes in its place."""
    ready = Handover(ahead)

    def run() -> None:
        try:
            for item in items:
                ready.put(item)
                if ready.stopped:
                    return
            ready.put(None)
        except BaseException as error:
            ready.put(error)

    thread = threading.Thread(target=run, name="asking", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        ready.stop()
        thread.join(STOP_S)
