"""How every command ends: the one place where an exception becomes a message and an exit code.

| exception           | on standard error                    | exit code             |
|---------------------|--------------------------------------|-----------------------|
| `UserError`         | place, cause, mend; no traceback     | its own, 2 or 1       |
| wrong usage         | command, cause, mend                 | 2                     |
| `KeyboardInterrupt` | its message, or "stopped"            | 130                   |
| anything else       | one line that names the internal error | 70 (EX_SOFTWARE)    |

With `-v` the traceback comes first.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ray_compt.errors import UserError

INTERNAL_ERROR = 70
INTERRUPTED = 130
# Typer keeps its copy of click private; the base of this public one is every error of usage.
UsageError: Any = typer.BadParameter.__base__


class Command(TyperCommand):
    """A Typer command that reports failures as this module's table says; its `verbose` parameter is `-v`."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise  # Typer's own ways to end.
        except (Exception, KeyboardInterrupt) as failure:
            if ctx.params.get("verbose"):
                traceback.print_exc()
            message, code = _report(failure)
            print(message, file=sys.stderr)
            raise typer.Exit(code) from failure


class Program(TyperGroup):
    """The group of all commands: what Typer says of wrong usage takes the form of every other message."""

    def make_context(self, *args: Any, **extra: Any) -> Any:
        with _usage_reported():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        with _usage_reported():
            return super().invoke(ctx)


@contextmanager
def _usage_reported() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            raise  # `compt` alone shows the help.
        command = error.ctx.command_path if error.ctx else "compt"
        cause = error.format_message().rstrip(".")
        wrong = UserError(cause, where=command, mend=f"`{command} --help` shows how it is called")
        print(f"error: {wrong}", file=sys.stderr)
        raise typer.Exit(wrong.exit_code) from error


def _report(failure: BaseException) -> tuple[str, int]:
    if isinstance(failure, UserError):
        return f"error: {failure}", failure.exit_code
    if isinstance(failure, KeyboardInterrupt):
        return str(failure) or "stopped", INTERRUPTED
    kind, text = type(failure).__name__, " ".join(str(failure).split())
    return f"internal error: {kind}: {text} (run with -v for the traceback)", INTERNAL_ERROR
