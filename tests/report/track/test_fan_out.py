"""Trackers never hold up or stop training."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import pytest

from ray_compt.report.track import Trackers, fan_out, prefixed


class Notebook:
    """A tracker that keeps what it is told; with `broken` it raises from that step on."""

    name, identity = "notebook", "1"

    def __init__(self, broken: int | None = None):
        self.lines: list[tuple[str, int, dict[str, float]]] = []
        self.closed: list[bool] = []
        self._broken = broken

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        if step == self._broken:
            raise OSError("no\nnetwork")
        self.lines.append((stage, step, dict(values)))

    def close(self, *, failed: bool) -> None:
        self.closed.append(failed)


def test_every_tracker_gets_the_finite_numbers_in_order() -> None:
    one, other = Notebook(), Notebook()
    trackers = Trackers([one, other], pytest.fail)
    trackers.log("01-a", 1, {"loss": 2, "nan": float("nan"), "none": None, "text": "x"})
    trackers.log("01-a", 2, {"loss": 1.5})
    trackers.close(failed=True)
    assert one.lines == other.lines == [("01-a", 1, {"loss": 2.0}), ("01-a", 2, {"loss": 1.5})]
    assert one.closed == other.closed == [True]


def test_one_that_raises_gets_one_line_and_nothing_more() -> None:
    broken, whole = Notebook(broken=2), Notebook()
    said: list[str] = []
    trackers = Trackers([broken, whole], said.append)
    for step in (1, 2, 3):
        trackers.log("01-a", step, {"loss": 1.0})
    trackers.close(failed=False)
    assert [step for _, step, _ in broken.lines] == [1] and broken.closed == []
    assert [step for _, step, _ in whole.lines] == [1, 2, 3] and whole.closed == [False]
    assert said == ["notebook gets no more numbers (no network); metrics.jsonl has them all"]


class Hanging(Notebook):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        self.go_on.wait(60)


def test_one_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_out, "WAITING", 5)
    monkeypatch.setattr(fan_out, "CLOSE_S", 0.05)
    hanging = Hanging()
    said: list[str] = []
    trackers = Trackers([hanging], said.append)
    for step in range(100):
        trackers.log("01-a", step, {"loss": 1.0})
    trackers.close(failed=False)
    hanging.go_on.set()
    assert said == ["trackers have not ended after 0.05 s; metrics.jsonl has all numbers"]


def test_none_is_nothing_to_do() -> None:
    before = threading.enumerate()
    trackers = Trackers()
    trackers.log("01-a", 1, {"loss": 1.0})
    trackers.close(failed=False)
    assert set(threading.enumerate()) <= set(before)


def test_names_are_tensorboards() -> None:
    assert prefixed("train", {"loss": 1.0}) == {"train/loss": 1.0}
