"""What happens where steps after steps are not finite: back to the last checkpoint once, then the end.

Skipped steps (see `finite.py`) leave the weights alone, so a few are harmless and many in a row mean that every
batch fails. A fault that passed (a flipped bit, a failing device) is mended by going back; weights or settings
that overflow fail again at the same place.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from ray_compt.errors import TrainingError
from ray_compt.storage import Place
from ray_compt.train.job import StageJob

FILE = "bad_steps.json"


class GoBack(Exception):
    """Raised in a worker for Ray Train to start the group again from the last checkpoint; no failure."""


@dataclass(frozen=True)
class BadPlace:
    """Steps in a row (from 1, both included) that were not finite, from which the stage has gone back."""

    first: int
    last: int


class BadSteps:
    """Watches one worker's steps, and remembers in the stage's folder where the stage has gone back.

    Only rank 0 watches: the steps are the same on every worker, and one must decide.
    """

    def __init__(self, job: StageJob):
        self._job = job
        self._place = _read(job.path)

    def saw(self, step: int, in_a_row: int) -> None:
        """Step `step`, from 1, has been skipped, as the last of `in_a_row`.

        Raises:
            GoBack: too many in a row, for the first time at this place.
            TrainingError: again.
        """
        if in_a_row < self._job.train.max_bad_steps:
            return
        place = BadPlace(step - in_a_row + 1, step)
        if self._place is not None and place.first <= self._place.last:
            raise self._final(place)
        _write(self._job.path, place)
        raise GoBack(f"the steps {place.first} to {place.last} were not finite")

    def saved(self, step: int) -> None:
        """A checkpoint of step `step` has been written, with finite steps before it."""
        if self._place is not None and step > self._place.last:
            (self._job.path / FILE).remove()
            self._place = None

    def _final(self, place: BadPlace) -> TrainingError:
        train = self._job.train
        advice = ["lower train.lr or lengthen train.warmup_steps"]
        if train.grad_clip is None:
            advice.append("set train.grad_clip: 1.0")
        if train.precision == "fp16":
            advice.append("set train.precision: bf16")
        advice.append(f"look at the data of steps {place.first} to {place.last}")
        return TrainingError(
            f"the loss or its gradient was not finite in the steps {place.first} to {place.last}, again after "
            "going back to the last checkpoint",
            where=f"stage {self._job.name}",
            mend=f"{'; '.join(advice)}; then run the command again, which goes on from the last checkpoint",
        )


def _read(folder: Place) -> BadPlace | None:
    try:
        return BadPlace(**json.loads((folder / FILE).read_text()))
    except FileNotFoundError:
        return None


def _write(folder: Place, place: BadPlace) -> None:
    (folder / FILE).write_text(json.dumps(asdict(place)))
