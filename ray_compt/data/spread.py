"""One function over many shards: through Ray where it runs, in a few threads otherwise."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

_THREADS = 8


def spread(function: Callable[[str], Result], items: Sequence[str]) -> Iterator[tuple[str, Result]]:
    """Yield (item, function(item)) in the order of `items`. `function` must be picklable.

    Raises:
        whatever `function` raises.
    """
    # Without ray imported by somebody, Ray cannot be running here.
    ray = sys.modules.get("ray")
    if ray is not None and len(items) > 1 and ray.is_initialized():
        yield from _through_ray(function, items)
        return
    yield from in_threads(function, items)


def in_threads(function: Callable[[str], Result], items: Sequence[str]) -> Iterator[tuple[str, Result]]:
    """The same in this process. Few results wait to be taken, so that all of them never lie in memory at once."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting = iter(items)
        pending: deque[Future[Result]] = deque()
        for item in items:
            while len(pending) < 2 * _THREADS and (following := next(waiting, None)) is not None:
                pending.append(pool.submit(function, following))
            yield item, pending.popleft().result()


def _through_ray(function: Callable[[str], Result], items: Sequence[str]) -> Iterator[tuple[str, Result]]:
    import ray

    @ray.remote(num_cpus=0, scheduling_strategy="SPREAD")
    def call(item: str) -> Result:
        return function(item)

    # Tasks of 0 CPUs always find a place, so this cannot hang on a full cluster; the limit is ours.
    limit = max(1, int(ray.cluster_resources().get("CPU", 1)))
    pending: dict[str, ray.ObjectRef] = {}
    waiting = iter(items)
    for item in items:
        while len(pending) < limit and (following := next(waiting, None)) is not None:
            pending[following] = call.remote(following)
        try:
            yield item, ray.get(pending.pop(item))
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
