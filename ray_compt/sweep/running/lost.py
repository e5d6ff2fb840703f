"""Candidates whose process Ray Tune has given up: their trials have failed, and say why."""

from __future__ import annotations

from typing import Any

from ray.exceptions import RayActorError
from ray.tune import Callback

from ray_compt.errors import user_error_behind
from ray_compt.sweep.running.recorder import Recorder
from ray_compt.sweep.running.trial import brief

MEND = "run the command again: it goes on from the last checkpoint"


class LostCandidates(Callback):
    """Puts on record what Ray Tune tries no more.

    Args:
        recorder: of the sweep.
        times: that a candidate is started anew before that.
    """

    def __init__(self, recorder: Recorder, times: int):
        self._recorder, self._times = recorder, times

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._recorder.lose(trial.config["job"].candidate, reason(trial.get_pickled_error(), self._times))


def reason(error: BaseException | None, times: int) -> str:
    """Why a candidate was given up, for people.

    Args:
        error: the last one; None where Ray Tune has kept none.
        times: that it was started anew.
    """
    if error is None or isinstance(error, RayActorError):
        last = f": {brief(error)}" if error is not None else ""
        return f"its process was lost more than {times} times{last}\n  mend: {MEND}"
    known = user_error_behind(error)
    return str(known) if known is not None else f"{brief(error)}\n  mend: {MEND}"
