"""Requests of many threads: each gets its own answer, whichever others it was computed with."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.teacher.batcher import JOINED_PARTS, Batcher

ANSWER_S = 20


def _sums(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return images.flatten(1).sum(1, keepdim=True).float(), tokens.sum(-1, keepdim=True).float()


def _request(rows: int, value: int, size: int = 2) -> tuple[np.ndarray, np.ndarray]:
    return np.full((rows, 3, size, size), value, np.uint8), np.full((rows, 2, 5), value, np.int64)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.sampled_from([2, 3])), max_size=20))
def test_everyone_gets_the_answer_to_their_own_request(requests: list[tuple[int, int, int]]) -> None:
    batcher = Batcher(_sums, rows=4)
    with ThreadPoolExecutor(8) as callers:
        futures = list(callers.map(lambda request: batcher.submit(*_request(*request)), requests))
    for (rows, value, size), future in zip(requests, futures):
        image, text = future.result(ANSWER_S)
        assert image.tolist() == [[value * 3 * size * size]] * rows
        assert text.tolist() == [[[value * 5]] * 2] * rows
    load = batcher.load()
    batcher.close()
    assert (load.served, load.waiting, load.oldest_s) == (sum(rows for rows, _, _ in requests), 0, 0.0)


def test_what_waits_is_computed_together_up_to_a_limit() -> None:
    seen: list[int] = []
    began, go = threading.Event(), threading.Event()

    def compute(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        began.set()
        go.wait(ANSWER_S)
        seen.append(len(images))
        return _sums(images, tokens)

    batcher = Batcher(compute, rows=4)
    first = batcher.submit(*_request(4, 0))
    assert began.wait(ANSWER_S)
    others = [batcher.submit(*_request(2, i)) for i in range(2 * JOINED_PARTS + 1)]
    assert batcher.load().waiting == 4 + 2 * len(others)
    go.set()
    for future in [first, *others]:
        future.result(ANSWER_S)
    batcher.close()
    assert seen == [4, 4 * JOINED_PARTS, 2]


def test_a_failure_reaches_those_who_asked_and_nobody_after() -> None:
    def compute(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if images.max() == 7:
            raise RuntimeError("seven")
        return _sums(images, tokens)

    batcher = Batcher(compute, rows=4)
    with pytest.raises(RuntimeError, match="seven"):
        batcher.submit(*_request(4, 7)).result(ANSWER_S)
    assert batcher.submit(*_request(4, 1)).result(ANSWER_S)[0].tolist() == [[12.0]] * 4
    assert batcher.load().waiting == 0
    batcher.close()
