"""The parameters that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence
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
TrainingCluster = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        envvar="RAY_ADDRESS",
        help="Ray cluster to train on, or auto; by default Ray is started on this machine.",
        show_default=False,
    ),
]
JobCluster = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
        help="The cluster's dashboard (http://HOST:8265), or its HOST:PORT; by default the cluster on this machine.",
        show_default=False,
    ),
]
JsonOutput = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on standard output, all else on standard error."),
]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show everything, tracebacks included.")]


def one_or_all(shards: Sequence[str]) -> str | list[str]:
    """Shards that were given one option at a time, as data.train and data.val write them."""
    return shards[0] if len(shards) == 1 else list(shards)
