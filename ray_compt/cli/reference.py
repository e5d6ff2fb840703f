"""The reference of the command line, written from the program: `python -m ray_compt.cli.reference`.

Its output is committed as `docs/cli.md`; a test compares the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

import typer

from ray_compt.cli.command import INTERNAL_ERROR, INTERRUPTED
from ray_compt.cli.driving import TERMINATED
from ray_compt.cli.main import app

INTRODUCTION = """\
# The command line

<!-- Written by `python -m ray_compt.cli.reference > docs/cli.md`; do not edit by hand. -->

`python -m ray_compt` is `compt`, `compt --version` its version, and `compt COMMAND --help` says what stands here.
`FILE` is a path, or the bare name of a [chain file](chain_file.md) or [sweep file](sweep_file.md) that comes with the
package. `compt tune FILE` is `compt tune run FILE`.

COMMANDS

## Exit codes

| code | when |
|---|---|
| 0 | done |
| 1 | the run, the cluster or the storage failed; or what was asked does not hold (`compt verify`, a failed trial) |
| 2 | the command, a file or a value has to be mended first; nothing was started |
| INTERRUPTED | Ctrl-C; a run has saved a checkpoint, and the same command goes on from it |
| TERMINATED | the same by SIGTERM |
| INTERNAL_ERROR | a mistake of ours: one line, and the traceback with `-v` |

Messages go to standard error. Each says the place, the cause and the mend: [all that we know of](errors.md).
"""

_CODES = {"INTERRUPTED": INTERRUPTED, "TERMINATED": TERMINATED, "INTERNAL_ERROR": INTERNAL_ERROR}


def reference() -> str:
    """The whole page, in Markdown."""
    commands = dict(leaves(typer.main.get_command(app), "compt"))
    listed = "\n".join(
        f"- [`{path}`](#{path.replace(' ', '-')}): {_summary(one)}" for path, one in commands.items()
    )
    head = INTRODUCTION.replace("COMMANDS", listed)
    for name, code in _CODES.items():
        head = head.replace(name, str(code))
    return "\n".join([head, *(_section(path, command) for path, command in commands.items())])


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with the words that call it, in the order of the program's help."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, below in inner.items():
        if not below.hidden:
            yield from leaves(below, f"{path} {name}")


def _section(path: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    needed = [_spelling(one) for one in options if one.required]
    call = " ".join([path, *(_spelling(one) for one in arguments), *needed, "[OPTIONS]"])
    lines = [f"- {_line(one)}" for one in (*arguments, *options)]
    return "\n".join([f"## {path}", "", "```", call, "```", "", _text(command), "", *lines, ""])


def _text(command: Any) -> str:
    return inspect.cleandoc(command.help or "")


def _summary(command: Any) -> str:
    return " ".join(_text(command).partition("\n\n")[0].split())


def _line(parameter: Any) -> str:
    spelling = ", ".join(f"`{name}`" for name in _spellings(parameter))
    text, facts = " ".join((parameter.help or "").split()), "; ".join(_facts(parameter))
    return f"{spelling}: {text}{f' ({facts})' if facts else ''}"


def _spelling(parameter: Any) -> str:
    return _spellings(parameter)[0]


def _spellings(parameter: Any) -> list[str]:
    """How a parameter is written: `FILE` for an argument, `--out FILE`, `-v`, `--no-examples` for an option."""
    if parameter.param_type_name == "argument":
        return [parameter.metavar or parameter.name.upper()]
    value = "" if parameter.is_flag else f" {parameter.metavar or _kind(parameter)}"
    return [f"{name}{value}" for name in (*parameter.opts, *parameter.secondary_opts)]


def _kind(parameter: Any) -> str:
    """The values of a choice, or the name of the type."""
    annotation = parameter.type_descriptor.annotation
    (inner,) = get_args(annotation)[:1] or (annotation,)
    if isinstance(inner, type) and issubclass(inner, Enum):
        return "|".join(str(choice.value) for choice in inner)
    return {int: "N", float: "X"}.get(inner, "TEXT")


def _facts(parameter: Any) -> Iterator[str]:
    """What the help's own sentence does not say: required, default, limits, variable."""
    if parameter.param_type_name == "option":
        if parameter.required:
            yield "required"
        elif parameter.default is not None and parameter.default is not False:
            yield f"default {_default(parameter)}"
    if parameter.min is not None:
        at_most = parameter.max is not None
        yield f"{parameter.min:,} to {parameter.max:,}" if at_most else f"at least {parameter.min:,}"
    if parameter.envvar:
        yield f"or `{parameter.envvar}` in the environment"


def _default(parameter: Any) -> str:
    value = parameter.default
    if value is True:
        return f"`{parameter.opts[0]}`"
    return f"`{value.value if isinstance(value, Enum) else value}`"


if __name__ == "__main__":
    print(reference(), end="")
