"""The parameters that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

ChainFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE", help="Chain file, or the bare name of a shipped one (digits, vit_4, ...)."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a key, e.g. --set stages.1.epochs=12; may be repeated."
    ),
]
JsonOutput = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on standard output, all else on standard error."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show everything, tracebacks included.")]
