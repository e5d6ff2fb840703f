"""A candidate that Ray Tune has given up says why."""

from __future__ import annotations

from ray.exceptions import ActorDiedError, RayTaskError

from ray_compt.errors import StorageError
from ray_compt.sweep.running.lost import reason


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("train", "Traceback\n  much more", cause)


def test_a_lost_process_is_called_that() -> None:
    said = reason(ActorDiedError(), 3)
    assert said.startswith("its process was lost more than 3 times: ActorDiedError: ")
    assert "mend: run the command again" in said
    assert reason(None, 3).startswith("its process was lost more than 3 times\n")


def test_an_error_for_people_is_told_as_it_is() -> None:
    error = StorageError("does not answer", where="s3://bucket", mend="look at it")
    assert reason(task_error(error), 3) == str(error)


def test_of_any_other_error_the_last_line_is_told() -> None:
    said = reason(task_error(ValueError("first\nlast")), 3)
    assert said.splitlines()[0] == "ValueError: last"
    assert "mend: run the command again" in said
