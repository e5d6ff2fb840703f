"""Ray Tune's view of the queue: one suggestion a candidate, and what its trials have reached goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.search import Searcher

from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.running.queue import Queue
from ray_compt.sweep.running.recorder import Recorder
from ray_compt.sweep.running.trial import CandidateJob
from ray_compt.sweep.running.values import Outcome, outcome

MakeJob = Callable[[int, Candidate], CandidateJob]


class QueueSearcher(Searcher):
    """Suggests the candidates of a queue whose trials have not all ended.

    Args:
        queue: in the order of their numbers.
        first: number of the queue's first candidate that is new.
        unfinished: candidates of earlier starts that go on, with their numbers; they come first.
        recorder: gets the trials before they start.
        make_job: a candidate's job.
        count: called with the number of candidates that run, as often as it changes.
    """

    def __init__(
        self,
        queue: Queue,
        first: int,
        unfinished: list[tuple[int, Candidate]],
        recorder: Recorder,
        make_job: MakeJob,
        count: Callable[[int], Any] = lambda running: None,
    ):
        super().__init__()
        self._queue, self._next = queue, first
        self._unfinished = list(unfinished)
        self._recorder, self._make_job, self._count = recorder, make_job, count
        self._running: dict[str, int] = {}
        self._stopped = False

    def stop(self) -> None:
        """Suggest nothing any more."""
        self._stopped = True

    def suggest(self, trial_id: str) -> Any:
        found = None if self._stopped else self._take()
        if found is None:
            return Searcher.FINISHED
        number, candidate = found
        self._running[trial_id] = number
        self._count(len(self._running))
        return {"job": self._make_job(number, candidate)}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        number = self._running.pop(trial_id, None)
        if number is None:
            return
        self._count(len(self._running))
        reached = outcome(self._recorder.score(number), self._recorder.record.objective)
        # None where it was given up, or stops with the sweep.
        self._queue.tell(number, reached or Outcome())

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the sweep's own files say all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, as `save`."""

    def __getstate__(self) -> dict[str, Any]:
        # Ray Tune pickles the searcher to restore it by; nothing restores one here.
        return {}

    def _take(self) -> tuple[int, Candidate] | None:
        if self._unfinished:
            return self._unfinished.pop(0)
        candidate = self._queue.next()
        if candidate is None:
            return None
        self._next += 1
        return self._next - 1, candidate
