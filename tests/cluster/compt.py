"""Commands of `compt` that a file names, held against the program itself."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from ray_compt.cli.main import app
from ray_compt.config import read_chain


def check_command(words: Sequence[str]) -> None:
    """Parse a command as `compt` does, without running it; for `train`, the chain with its overrides too.

    Raises:
        typer's UsageError: an option or argument that there is not.
        ray_compt.errors.UserError: a chain that there is not, or a key.
    """
    name, *rest = words
    parsed = typer.main.get_command(app).commands[name].make_context(name, rest)
    if name == "train":
        read_chain(parsed.params["file"], parsed.params["overrides"] or ())
