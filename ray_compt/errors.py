"""The one exception that people are meant to read.

Everything that a user can mend (a wrong key, a missing shard, a stage that cannot grow) is raised as
`UserError`; the command line prints it without a traceback and exits with `exit_code`. Everything else
is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class UserError(Exception):
    """A mistake that the user can mend.

    Args:
        message: what is wrong, with the offending value.
        where: the place, for example ``chains/vit_4.yaml:12`` or a path or a stage's name.
        mend: what to do about it, as an instruction.
    """

    exit_code = 2

    def __init__(self, message: str, *, where: str | None = None, mend: str | None = None):
        super().__init__(message, where, mend)
        self.message = message
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  mend: {self.mend}" if self.mend else head

    def __reduce__(self) -> tuple[Any, ...]:
        # Ray carries exceptions between processes with pickle, which drops keyword arguments.
        return (_rebuild, (type(self), self.message, self.where, self.mend))


class TrainingError(UserError):
    """Training stopped and could not go on by itself; what was trained is kept."""

    exit_code = 1


class StorageError(TrainingError):
    """A store that failed several times in a row; it may answer again, so a stage may be tried again too."""


class RefusedError(StorageError):
    """A store that answers, but not to us: a missing bucket, denied access."""

    exit_code = UserError.exit_code


def user_error_behind(error: BaseException | None) -> UserError | None:
    """The user's error that Ray or Python has wrapped; None where there is none."""
    while error is not None:
        cause = getattr(error, "cause", None)
        if isinstance(cause, UserError):
            return cause
        error = cause if isinstance(cause, BaseException) else error.__cause__
    return None


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Give a `UserError` that comes without a place this one."""
    try:
        yield
    except UserError as error:
        if error.where:
            raise
        raise type(error)(error.message, where=where, mend=error.mend) from error


@contextmanager
def written(what: str, *, where: str, mend: str) -> Iterator[None]:
    """Turn an `OSError` inside, by which `what` cannot be written, into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{what} cannot be written ({error.strerror or error})", where=where, mend=mend
        ) from error


def _rebuild(kind: type[UserError], message: str, where: str | None, mend: str | None) -> UserError:
    return kind(message, where=where, mend=mend)
