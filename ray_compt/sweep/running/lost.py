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

    def __getstate__(self) -> dict[str, Any]:
        # As of the searcher: Ray Tune pickles all that it is given.
        return {}

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._recorder.lose(trial.config["job"].candidate, reason(_last_error(trial), self._times))


def _last_error(trial: Any) -> BaseException | None:
    try:
        error = trial.get_pickled_error()
    except Exception:
        # Of a class, say, that only the trial's process can make. Raised here, it would end the sweep.
        return None
    return error if isinstance(error, BaseException) else None


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
    if known is not None:
        return str(known)
    # What Ray has wrapped says it in fewer words.
    cause = getattr(error, "cause", None)
    return f"{brief(cause if isinstance(cause, BaseException) else error)}\n  mend: {MEND}"
