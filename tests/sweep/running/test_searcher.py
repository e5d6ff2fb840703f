"""Ray Tune gets each candidate once, those of earlier starts first, and the queue hears what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ray import cloudpickle
from ray.tune.search import Searcher

from ray_compt.storage import open_place
from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.running.folder import SweepFolder
from ray_compt.sweep.running.lost import LostCandidates
from ray_compt.sweep.running.queue import Listed
from ray_compt.sweep.running.recorder import Recorder
from ray_compt.sweep.running.searcher import QueueSearcher
from ray_compt.sweep.running.state import write_trial
from ray_compt.sweep.running.trial import CandidateJob
from ray_compt.sweep.running.values import Outcome
from tests.sweep.files import plan
from tests.sweep.records import sweep
from tests.sweep.running.folders import finish_trial

METRIC = "image_to_text_r1"


class Told(Listed):
    """A list that remembers what it was told."""

    def __init__(self, candidates: Sequence[Candidate]):
        super().__init__(candidates)
        self.told: dict[int, Outcome] = {}

    def tell(self, number: int, outcome: Outcome) -> None:
        self.told[number] = outcome


@pytest.fixture
def candidates(tmp_path: Path) -> tuple[Candidate, ...]:
    return plan(tmp_path).candidates().candidates


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    return SweepFolder(open_place(tmp_path / "sweep"))


@pytest.fixture
def recorder(folder: SweepFolder) -> Recorder:
    return Recorder(folder, sweep(), (0,))


@pytest.fixture
def queue(candidates: tuple[Candidate, ...]) -> Told:
    return Told(candidates[2:4])


@pytest.fixture
def counted() -> list[int]:
    """Numbers of candidates that run, as they are told."""
    return []


@pytest.fixture
def searcher(
    queue: Told, candidates: tuple[Candidate, ...], recorder: Recorder, counted: list[int]
) -> QueueSearcher:
    """Of four candidates, one of two earlier ones goes on."""

    def job(number: int, candidate: Candidate) -> CandidateJob:
        recorder.begin(number, candidate)
        return CandidateJob(number, (), candidate.label, METRIC, False, 0, True, False)

    return QueueSearcher(queue, 2, [(1, candidates[1])], recorder, job, counted.append)


def test_what_goes_on_comes_before_what_is_new(
    searcher: QueueSearcher, candidates: tuple[Candidate, ...]
) -> None:
    jobs = [searcher.suggest(name)["job"] for name in "abc"]
    assert [job.candidate for job in jobs] == [1, 2, 3]
    assert [job.store for job in jobs] == [candidate.label for candidate in candidates[1:4]]
    assert searcher.suggest("d") == Searcher.FINISHED


def test_a_searcher_that_is_stopped_suggests_nothing(searcher: QueueSearcher) -> None:
    searcher.suggest("a")
    searcher.stop()
    assert searcher.suggest("b") == Searcher.FINISHED


def test_the_queue_hears_what_became_of_each(
    searcher: QueueSearcher, queue: Told, folder: SweepFolder, counted: list[int]
) -> None:
    for name in "abc":
        searcher.suggest(name)
    finish_trial(folder.trial(1), {METRIC: 0.25})
    searcher.on_trial_complete("a", {})
    write_trial(folder.trial(2), "pruned")
    searcher.on_trial_complete("b", {})
    searcher.on_trial_complete("c", error=True)
    searcher.on_trial_complete("another's", {})
    assert counted == [1, 2, 3, 2, 1, 0]
    assert queue.told == {1: Outcome((0.25,)), 2: Outcome(pruned=True), 3: Outcome()}


def test_ray_tune_may_store_it(searcher: QueueSearcher, recorder: Recorder) -> None:
    assert isinstance(cloudpickle.loads(cloudpickle.dumps(LostCandidates(recorder, 3))), LostCandidates)
    assert isinstance(cloudpickle.loads(cloudpickle.dumps(searcher)), QueueSearcher)
