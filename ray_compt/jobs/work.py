"""What a job is to do: a chain or a sweep, checked here, with every file that its command reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ray_compt.config.load import find_chain, read_chain, read_text, read_tree, shipped_folder
from ray_compt.config.suite_file import load_suite
from ray_compt.config.sweep_file import find_sweep, load_sweep
from ray_compt.config.tree import Node
from ray_compt.config.yaml_io import write_yaml
from ray_compt.errors import UserError
from ray_compt.jobs.places import check_places

CORE = "core"
SUITE = "evaluate/suite.yaml"


@dataclass(frozen=True)
class Work:
    """A chain or a sweep.

    Attributes:
        command: of `compt`.
        name: of the chain or sweep.
        file: its file among `files`.
        files: contents of what the command reads, by path in the job's working directory.
        overrides: `KEY=VALUE` for `--set`.
    """

    command: Literal["train", "tune"]
    name: str
    file: str
    files: Mapping[str, bytes]
    overrides: tuple[str, ...]


def open_work(file: str, overrides: Sequence[str] = ()) -> Work:
    """The chain or sweep of a file, which of the two its keys tell; a suite file that it names comes along.

    Args:
        file: a path, or the bare name of a shipped chain or sweep file.
        overrides: `KEY=VALUE` texts, as for `--set`.

    Raises:
        UserError: with file and line (or the override), cause and mend; relative paths of data are refused.
    """
    return _sweep(file, overrides) if _is_sweep(file) else _chain(file, overrides)


def _is_sweep(file: str) -> bool:
    try:
        path = find_chain(file)
    except UserError as unknown:
        try:
            find_sweep(file)
        except UserError:
            raise unknown from None
        return True
    tree = read_tree(path, "a chain file", "begin with name:, data: and stages:", "docs/chain_file.md")
    return tree.child("chain") is not None and tree.child("stages") is None


def _chain(file: str, overrides: Sequence[str]) -> Work:
    loaded = read_chain(file, overrides)
    check_places(loaded.tree)
    suite = _suite(loaded.chain.evaluate.suite)
    files = {loaded.file.name: _content(loaded.file), **suite}
    return Work("train", loaded.chain.name, loaded.file.name, files, _with_suite(overrides, suite))


def _sweep(file: str, overrides: Sequence[str]) -> Work:
    loaded = load_sweep(file, overrides)
    check_places(loaded.chain_tree)
    shipped = loaded.chain_file.is_relative_to(shipped_folder())
    if not shipped and Path(loaded.sweep.chain).is_absolute():
        raise UserError(
            "chain: an absolute path leads nowhere in the job",
            where=loaded.place("chain"),
            mend="write the chain file's path relative to the sweep file",
        )
    # Both keep their places relative to one another.
    ours = [loaded.file.resolve(), *([] if shipped else [loaded.chain_file.resolve()])]
    root = Path(os.path.commonpath([path.parent for path in ours]))
    files = {path.relative_to(root).as_posix(): _content(path) for path in ours}
    suite = _suite(_written(loaded.chain_tree, "evaluate", "suite"))
    name = ours[0].relative_to(root).as_posix()
    return Work("tune", loaded.sweep.name, name, {**files, **suite}, _with_suite(overrides, suite))


def _written(tree: Node, *path: str) -> str | None:
    node = tree.find(path)
    return node.value if node is not None and isinstance(node.value, str) else None


def _suite(choice: str | None) -> dict[str, bytes]:
    """A suite file in one piece: the files of names and prompts beside it are taken in."""
    if choice is None or choice == CORE:
        return {}
    return {SUITE: write_yaml(load_suite(choice).model_dump(mode="json", exclude_unset=True)).encode()}


def _with_suite(overrides: Sequence[str], suite: Mapping[str, bytes]) -> tuple[str, ...]:
    return (*overrides, *(f"evaluate.suite={name}" for name in suite))


def _content(file: Path) -> bytes:
    return read_text(file).encode()
