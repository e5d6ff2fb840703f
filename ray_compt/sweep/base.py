"""The base chain of a sweep: its stages, the names that people call them by, and the keys that a space may vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ray_compt.config.describe import suggest
from ray_compt.config.load import validate_tree
from ray_compt.config.resolve import FLAT_KEYS, model_label, stage_names
from ray_compt.config.sweep_file import LoadedSweep
from ray_compt.config.tree import Node, Path
from ray_compt.errors import UserError

Whose = Literal["chain", "all", "position", "stage"]
# Sections that a chain's first stage does not read, unless teachers or a model to begin with are named.
_OF_LATER_STAGES = ("transfer", "teacher")


@dataclass(frozen=True)
class Composition:
    """Stages of the base chain that make a chain.

    Attributes:
        stages: their indices, ascending.
        epochs: of each, instead of those that it has by the base chain's rules; None: those.
    """

    stages: tuple[int, ...]
    epochs: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Base:
    """The base chain, not yet validated: a space may give what it leaves open.

    Attributes:
        tree: as `LoadedSweep.chain_tree`, every stage with its name.
        names: of the stages.
        labels: short names: the part of each model's name that no other has (T for ViT-T-16), else the stage's name.
        outside: whether teachers or a model to begin with are named anywhere, which a chain's first stage may have.
    """

    tree: Node
    names: tuple[str, ...]
    labels: tuple[str, ...]
    outside: bool

    @property
    def whole(self) -> Composition:
        return Composition(tuple(range(len(self.names))))

    def stage_names(self, composition: Composition) -> tuple[str, ...]:
        return tuple(self.names[index] for index in composition.stages)

    def own_epochs(self, composition: Composition) -> dict[str, float]:
        """The epochs that a composition gives, as values of a space: `{"stages.S.epochs": 160.0}`."""
        names = self.stage_names(composition)
        return {f"stages.{name}.epochs": epochs for name, epochs in zip(names, composition.epochs or ())}

    def label(self, composition: Composition) -> str:
        """A chain in short: T-S-L, or with epochs of its own T160-S20-L10."""
        words = [self.labels[index] for index in composition.stages]
        if composition.epochs is not None:
            words = [_with_epochs(word, epochs) for word, epochs in zip(words, composition.epochs)]
        return "-".join(words)

    def stage(self, word: str) -> int:
        """The stage that is called so.

        Raises:
            UserError: none or several are; without a place.
        """
        if word in self.names:
            return self.names.index(word)
        parts = stage_parts(self.tree)
        fitting = [index for index, own in enumerate(parts) if word in own]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            names = ", ".join(self.names[index] for index in fitting)
            raise UserError(f"{word} may be {names}", mend="write the whole name")
        known = dict.fromkeys((*self.labels, *self.names))
        raise UserError(f"the base chain has no stage {word}", mend=suggest(word, known))


def open_base(loaded: LoadedSweep) -> Base:
    """The base chain of a sweep.

    Raises:
        UserError: it has no list of stages.
    """
    stages = loaded.chain_tree.child("stages")
    whole = stages is not None and isinstance(stages.value, list) and stages.value
    if stages is None or not whole or not all(stage.mapping for stage in stages.value):
        validate_tree(loaded.chain_tree, str(loaded.chain_file))  # says what is wrong
        raise AssertionError("a chain without stages is valid")
    names = stage_names(stages)
    named = [
        Node({**stage.value, "name": Node(name, stage.place, (*stage.path, "name"))}, stage.place, stage.path)
        for stage, name in zip(stages.value, names)
    ]
    tree = loaded.chain_tree
    tree = Node({**tree.value, "stages": Node(named, stages.place, stages.path)}, tree.place, tree.path)
    sections = [tree.find(("transfer",)), *(stage.child("transfer") for stage in named)]
    named_there = any(
        section is not None and (section.find(("distill", "teachers")) or section.find(("init",)))
        for section in sections
    )
    outside = named_there or any(key.endswith(("distill.teachers", ".init")) for key in loaded.sweep.space)
    return Base(tree, tuple(names), _labels(names, stage_parts(tree)), outside)


def stage_parts(tree: Node) -> list[list[str]]:
    """The parts between dashes of each stage's model."""
    return [model_label(stage.plain().get("model")).split("-") for stage in tree.value["stages"].value]


def _labels(names: Sequence[str], parts: list[list[str]]) -> tuple[str, ...]:
    labels = []
    for index, (name, own) in enumerate(zip(names, parts)):
        others = {part for other in parts[:index] + parts[index + 1 :] for part in other}
        alone = [part for part in own if part not in others]
        # A name that its author has given says more than a part of the model's.
        given = name != "-".join(own)
        labels.append(alone[0] if alone and len(parts) > 1 and not given else name)
    return tuple(labels)


def _with_epochs(label: str, epochs: float) -> str:
    return f"{label}{':' if label[-1].isdigit() else ''}{epochs:g}"


@dataclass(frozen=True)
class Target:
    """The key of the chain file that a key of the space means.

    Attributes:
        whose: the chain's; every stage's; that of the stage in a position of each chain; that of a base stage.
        index: the position or the base stage.
        rest: the key inside the stage, in its section; of the chain, the whole key.
        first: whether a chain's first stage reads the key.
    """

    whose: Whose
    index: int
    rest: str
    first: bool

    def paths(self, composition: Composition) -> list[Path]:
        """Where it lies in the unfolded tree of a chain of these stages; nowhere if no stage of it reads the key."""
        reached = self._reached(composition)
        if not reached or (not self.first and max(reached) == 0):
            return []
        inner = tuple(self.rest.split("."))
        return [inner] if self.whose == "chain" else [("stages", position, *inner) for position in reached]

    def _reached(self, composition: Composition) -> list[int]:
        """Positions of the stages that read the key."""
        everywhere = list(range(len(composition.stages)))
        if self.whose == "position":
            return everywhere[self.index : self.index + 1]
        if self.whose == "stage":
            return [position for position in everywhere if composition.stages[position] == self.index]
        return everywhere


def locate_key(base: Base, key: str) -> Target:
    """What a key of the space means.

    Raises:
        UserError: it is no dotted key, names a stage that is not there, or one that a sweep sets itself; without
            a place.
    """
    parts = key.split(".")
    if not all(parts):
        raise UserError("no key of a chain file", mend="write for example train.lr or stages.*.epochs")
    if key in _REFUSED:
        raise UserError("no key of a space", mend=_REFUSED[key])
    if parts[0] != "stages":
        return _target(base, "chain", 0, key)
    whose, index, rest = _whose(base, key.partition(".")[2])
    section = rest.partition(".")[0]
    if section in ("", "name", "model"):
        raise UserError("no key of a space", mend="write which stages make a chain in chains:")
    return _target(base, whose, index, f"{FLAT_KEYS[section]}.{rest}" if section in FLAT_KEYS else rest)


def _target(base: Base, whose: Whose, index: int, rest: str) -> Target:
    first = base.outside or rest.partition(".")[0] not in _OF_LATER_STAGES
    return Target(whose, index, rest, first)


_REFUSED = {
    "name": "remove it; the sweep has a name of its own",
    "seed": "write seeds: [0, 1, 2] beside space",
    "stages": "write which stages make a chain in chains:",
}


def _whose(base: Base, rest: str) -> tuple[Whose, int, str]:
    # A name may hold dots itself, so the longest that fits is taken.
    fitting = [name for name in base.names if rest == name or rest.startswith(name + ".")]
    if fitting:
        name = max(fitting, key=len)
        return "stage", base.names.index(name), rest[len(name) + 1 :]
    which, _, rest = rest.partition(".")
    if which == "*":
        return "all", 0, rest
    if which.isdecimal():
        if int(which) >= len(base.names):
            message = f"no chain has a stage {which}"
            raise UserError(message, mend=f"the base chain has {len(base.names)}, counted from 0")
        return "position", int(which), rest
    return "stage", base.stage(which), rest
