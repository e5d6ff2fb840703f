"""A chain file becomes a `Chain`: found, read, overridden, merged, validated; and back to text."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ray_compt.config.checks import check_chain
from ray_compt.config.overrides import override
from ray_compt.config.problems import problems_of, unite
from ray_compt.config.resolve import resolve, unfold
from ray_compt.config.schema import Chain
from ray_compt.config.tree import Key, Node, dotted
from ray_compt.config.yaml_io import LARGEST_TEXT, read_yaml, write_yaml
from ray_compt.errors import UserError

# A value that the file leaves open, to be given with --set.
OPEN = "???"

_PACKAGE = Path(__file__).resolve().parent.parent
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class LoadedChain:
    """A chain that remembers where each of its values was written."""

    chain: Chain
    file: Path
    tree: Node

    def place(self, *path: Key) -> str:
        """Where a value was written, for errors found later: `place("stages", 1, "model")`."""
        return self.tree.nearest(path).place


def load_chain(file: str | Path, overrides: Sequence[str] = ()) -> Chain:
    """Read, merge and validate a chain file.

    Args:
        file: a path, or the bare name of a shipped chain file.
        overrides: `KEY=VALUE` texts, applied in order (see `overrides.py`).

    Raises:
        UserError: with file and line (or the override), cause and mend; several problems become one error.
    """
    return read_chain(file, overrides).chain


def read_chain(file: str | Path, overrides: Sequence[str] = ()) -> LoadedChain:
    """As `load_chain`, keeping the places of all values."""
    path = find_chain(file)
    chain, tree = validate_tree(read_chain_tree(path, overrides), str(path))
    return LoadedChain(chain, path, tree)


def read_chain_tree(path: Path, overrides: Sequence[str] = ()) -> Node:
    """A chain file as its author wrote it, with overrides on top: flat keys in their sections, nothing merged.

    Raises:
        UserError: no mapping of keys, or an override that leads nowhere; values are not looked at.
    """
    tree = read_tree(path, "a chain file", "begin with name:, data: and stages:", "docs/chain_file.md")
    return _overridden(unfold(tree), overrides)


def make_chain(content: dict[str, Any], overrides: Sequence[str], where: str) -> Chain:
    """A chain from the content of a chain file instead of a file, with overrides on top.

    Args:
        content: plain data.
        overrides: `KEY=VALUE` texts, applied in order.
        where: the place that errors name, unless they name an override.

    Raises:
        UserError: as `load_chain`.
    """
    tree = read_yaml(write_yaml(content), lambda _: where)
    assert tree is not None
    return validate_tree(_overridden(unfold(tree), overrides), where)[0]


def _overridden(tree: Node, overrides: Sequence[str]) -> Node:
    for text in overrides:
        tree = override(tree, text)
    return tree


def validate_tree(tree: Node, where: str) -> tuple[Chain, Node]:
    """The chain of an unfolded tree, and the tree with its sections merged, as `LoadedChain` has it.

    Raises:
        UserError: as `load_chain`; `where` is named where several problems become one.
    """
    tree = resolve(tree)
    _raise(_left_open(tree), where)
    try:
        chain = Chain.model_validate(tree.plain())
    except ValidationError as error:
        raise unite(problems_of(error, tree), where) from None
    _raise(_broken_rules(chain, tree), where)
    return chain, tree


def dump_chain(chain: Chain) -> str:
    """The resolved chain as YAML; `load_chain` reads it back to an equal chain."""
    return "# The resolved chain: every default filled in, every stage complete.\n" + write_yaml(
        chain.model_dump(mode="json")
    )


def find_chain(name_or_path: str | Path, beside: Path | None = None) -> Path:
    """The chain file of a path (`.yaml` may be left out), else the shipped one of that bare name.

    Args:
        name_or_path: what was asked for.
        beside: folder that a relative path starts from; None: the current one.

    Raises:
        UserError: there is neither; the mend names the shipped ones.
    """
    return find_file(name_or_path, shipped_folder(), "chain", beside)


def find_file(name_or_path: str | Path, shipped: Path, kind: str, beside: Path | None = None) -> Path:
    """As `find_chain`, for files of another `kind` that are shipped in another folder."""
    given = Path(name_or_path)
    names = [given.name, *(given.name + suffix for suffix in _SUFFIXES)] if given.name else []
    bare = given.name == str(given)
    start = given.parent if beside is None else beside / given.parent
    for folder in (start, shipped) if bare else (start,):
        for name in names:
            if os.path.isfile(folder / name):
                return folder / name
    known = sorted(path.stem for path in shipped.glob("*.yaml"))
    mend = f"give a path, or a shipped {kind} ({', '.join(known)})"
    near = difflib.get_close_matches(given.stem, known, n=1)
    if near:
        mend += f": did you mean {near[0]}?"
    folder = start / given.name
    what = f"a folder, no {kind} file" if given.name and os.path.isdir(folder) else f"no such {kind} file"
    raise UserError(what, where=str(name_or_path) or "FILE", mend=mend)


def shipped_folder() -> Path:
    """Where the shipped chain files are: inside an installed package, or beside it in the repository."""
    installed = _PACKAGE / "_chains"
    return installed if installed.is_dir() else _PACKAGE.parent / "chains"


def shipped_chains() -> list[str]:
    """Bare names of the shipped chain files."""
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def read_tree(path: Path, kind: str, begin: str, page: str, *, aliases: bool = False) -> Node:
    """The mapping of keys in a file of some `kind`, with the places of all values.

    Args:
        path: the file.
        kind: what it is, for messages: "a chain file".
        begin: how one begins, as an instruction.
        page: the documentation that has an example.
        aliases: YAML's aliases are taken, as in files of other programs.

    Raises:
        UserError: it cannot be read, is no YAML, or no mapping.
    """
    tree = read_yaml(read_text(path), lambda line: f"{path}:{line}", aliases=aliases)
    if tree is None or not tree.mapping:
        found = "nothing" if tree is None else "no mapping"
        mend = f"{begin}; {page} has an example"
        raise UserError(f"{kind} is a mapping of keys, found {found}", where=f"{path}:1", mend=mend)
    return tree


def read_text(path: Path) -> str:
    """The text of a file, of a longer one a character more than `LARGEST_TEXT`.

    Raises:
        UserError: it cannot be read, or is no UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(LARGEST_TEXT + 1)
    except OSError as error:
        raise UserError(
            f"cannot be read: {error.strerror}", where=str(path), mend="check its permissions"
        ) from None
    except UnicodeDecodeError:
        raise UserError("is no text", where=str(path), mend="save it as UTF-8") from None


def _raise(problems: Iterable[UserError], where: str) -> None:
    # What is wrong in a shared section is wrong in every stage, and said once.
    distinct = {problem.message: problem for problem in problems}
    if distinct:
        raise unite(distinct.values(), where)


def _left_open(node: Node) -> Iterator[UserError]:
    if node.value == OPEN:
        key = dotted(node.path)
        mend = f"give it on the command line (--set {key}=...) or write it here"
        yield UserError(f"{key} has no value yet", where=node.place, mend=mend)
    for child in node.children():
        yield from _left_open(child)


def _broken_rules(chain: Chain, tree: Node) -> Iterator[UserError]:
    for problem in check_chain(chain):
        written = [key for key in problem.blame if tree.find(key)]
        place, path = tree.locate((*written, problem.blame[0])[0])
        yield UserError(f"{dotted(path)}: {problem.message}", where=place, mend=problem.mend)
