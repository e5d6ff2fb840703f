"""A sweep file becomes a `Sweep`: found, read, validated. Its base chain is read by `ray_compt/sweep/base.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ray_compt.config.load import find_chain, find_file, read_chain_tree, read_tree, shipped_folder
from ray_compt.config.problems import problems_of, unite
from ray_compt.config.sweep_keys import Sweep
from ray_compt.config.tree import Key, Node
from ray_compt.errors import UserError


@dataclass(frozen=True)
class LoadedSweep:
    """A sweep that remembers where its values were written.

    Attributes:
        sweep: the sweep.
        file: where it was read.
        tree: its values, with their places.
        chain_file: the base chain's file.
        chain_tree: that file's values, flat keys moved into their sections, overrides on top, nothing validated.
        overrides: these overrides, `KEY=VALUE` of the chain file.
    """

    sweep: Sweep
    file: Path
    tree: Node
    chain_file: Path
    chain_tree: Node
    overrides: tuple[str, ...] = ()

    def place(self, *path: Key) -> str:
        """Where a value was written, or what it would be in: `place("space", "train.lr", "choice", 1)`."""
        return self.tree.nearest(path).place


def load_sweep(file: str | Path, overrides: Sequence[str] = ()) -> LoadedSweep:
    """Read and validate a sweep file, and read its base chain.

    Args:
        file: a path, or the bare name of a shipped sweep file.
        overrides: `KEY=VALUE` texts for the base chain, as `compt train --set` takes them.

    Raises:
        UserError: with file and line, cause and mend; several problems become one error.
    """
    path = find_sweep(file)
    tree = read_tree(path, "a sweep file", "begin with name:, chain: and space:", "docs/sweep_file.md")
    try:
        sweep = Sweep.model_validate(tree.plain())
    except ValidationError as error:
        raise unite(problems_of(error, tree, Sweep), str(path)) from None
    try:
        chain_file = find_chain(sweep.chain, beside=path.parent)
    except UserError as error:
        message = f"chain: {error.message}: {sweep.chain}"
        raise UserError(message, where=tree.nearest(["chain"]).place, mend=error.mend) from None
    chain_tree = read_chain_tree(chain_file, overrides)
    return LoadedSweep(sweep, path, tree, chain_file, chain_tree, tuple(overrides))


def find_sweep(name_or_path: str | Path) -> Path:
    """The sweep file of a path (`.yaml` may be left out), else the shipped one of that bare name.

    Raises:
        UserError: there is neither; the mend names the shipped ones.
    """
    return find_file(name_or_path, shipped_sweep_folder(), "sweep")


def shipped_sweeps() -> list[str]:
    """Bare names of the shipped sweep files."""
    return sorted(path.stem for path in shipped_sweep_folder().glob("*.yaml"))


def shipped_sweep_folder() -> Path:
    """Where the shipped sweep files are: below the shipped chain files."""
    return shipped_folder() / "sweeps"
