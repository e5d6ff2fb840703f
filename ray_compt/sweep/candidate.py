"""From the base chain, a composition and values of the space to a resolved chain. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray_compt.config.load import validate_tree
from ray_compt.config.overrides import assign
from ray_compt.config.schema import Chain
from ray_compt.config.sweep_file import LoadedSweep
from ray_compt.config.sweep_keys import FITTING
from ray_compt.config.tree import Node, node_of
from ray_compt.errors import UserError
from ray_compt.sweep.base import Base, Composition, Target
from ray_compt.sweep.space import Parameter, Values


@dataclass(frozen=True)
class Candidate:
    """A composition and values of the space.

    Attributes:
        composition: the base chain's stages that it has.
        stages: their names, which are those of the chain's stages.
        values: of the space's keys that this chain reads, fixed ones included; and the epochs that the composition
            gives, as `stages.NAME.epochs`.
        label: for people: `T-S-L lr=0.001`.
        chain: resolved; its seed is the base chain's.
        notes: what `ungrowable: feature_space` has changed.
    """

    composition: Composition
    stages: tuple[str, ...]
    values: Values
    label: str
    chain: Chain
    notes: tuple[str, ...] = ()

    def trial(self, seed: int) -> Chain:
        """The chain that is trained with a seed."""
        return self.chain.model_copy(update={"seed": seed})

    @property
    def key(self) -> str:
        """The same for candidates of the same composition and values."""
        return candidate_key(self.composition, self.values)


def candidate_key(composition: Composition, values: Mapping[str, Any]) -> str:
    return json.dumps([composition.stages, composition.epochs, dict(values)], sort_keys=True)


@dataclass(frozen=True)
class Axis:
    """A parameter of a sweep with the key that it means."""

    parameter: Parameter
    target: Target


def read_values(axes: Sequence[Axis], composition: Composition, values: Mapping[str, Any]) -> Values:
    """The values that a chain of these stages reads."""
    return {axis.parameter.key: values[axis.parameter.key] for axis in axes if axis.target.paths(composition)}


def build_chain(
    loaded: LoadedSweep,
    base: Base,
    axes: Sequence[Axis],
    composition: Composition,
    values: Mapping[str, Any],
    *,
    random_growth: Sequence[int] = (),
) -> tuple[Chain, Node]:
    """The resolved chain, and its tree, whose values name the places where they were written in either file.

    Args:
        loaded, base, axes: the sweep.
        composition: the chain's stages.
        values: a value for each axis; of those that the chain does not read none is needed.
        random_growth: positions of stages whose weights are random whatever the values say.

    Raises:
        UserError: as `load_chain`: a wrong value of the space at its line of the sweep file.
    """
    try:
        return _build(loaded, base, axes, composition, values, random_growth)
    except UserError as error:
        if (error.where or "").startswith(str(loaded.file)):
            raise
        raise _blame(error, loaded, base, axes, composition, values, random_growth) from None


def _build(
    loaded: LoadedSweep,
    base: Base,
    axes: Sequence[Axis],
    composition: Composition,
    values: Mapping[str, Any],
    random_growth: Sequence[int],
) -> tuple[Chain, Node]:
    tree = chain_tree(base, composition)
    for axis in axes:
        for path in axis.target.paths(composition):
            tree = assign(tree, path, _node(loaded, axis.parameter.key, values[axis.parameter.key]))
    listed = loaded.place("chains", "list")
    for position, epochs in enumerate(composition.epochs or ()):
        tree = assign(tree, ("stages", position, "epochs"), node_of(epochs, listed, ("chains", "list")))
    place = loaded.place("chains", "ungrowable")
    for position in random_growth:
        for key, value in (("growth", "random"), ("optimizer", "fresh")):
            node = node_of(value, place, ("chains", "ungrowable"))
            tree = assign(tree, ("stages", position, "transfer", key), node)
    return validate_tree(tree, str(loaded.file))


def _blame(
    error: UserError,
    loaded: LoadedSweep,
    base: Base,
    axes: Sequence[Axis],
    composition: Composition,
    values: Mapping[str, Any],
    random_growth: Sequence[int],
) -> UserError:
    """An error in the base chain's file, at the key of the space without which there would be none, if there is one.

    Rules between keys blame one of them, which may be the base chain's.
    """
    for axis in axes:
        others = [other for other in axes if other is not axis]
        try:
            _build(loaded, base, others, composition, values, random_growth)
        except UserError:
            continue
        key = axis.parameter.key
        return UserError(
            f"space.{key}: with {_short(values[key])}, {error.message}",
            where=_node(loaded, key, values[key]).place,
            mend=error.mend,
        )
    return error


def chain_tree(base: Base, composition: Composition) -> Node:
    """The base chain with only some of its stages, the first of them trained as the base's first is."""
    stages = base.tree.value["stages"]
    kept = base.stage_names(composition)
    chosen = [_known_teachers(stages.value[index], base.names, kept) for index in composition.stages]
    if composition.stages[0] != 0:
        chosen[0] = _as_first(chosen[0], stages.value[0])
    entries = {**base.tree.value, "stages": Node(chosen, stages.place, stages.path)}
    return Node(entries, base.tree.place, base.tree.path)


def label_of(
    base: Base, axes: Sequence[Axis], composition: Composition, values: Mapping[str, Any], *, composed: bool
) -> str:
    """A short name: the chain, where there are several, and the values of what is varied."""
    words = [base.label(composition)] if composed else []
    names = short_keys([axis.parameter.key for axis in axes if axis.parameter.varied])
    for key, name in names.items():
        if key in values:
            words.append(f"{name}={_short(values[key])}")
    return " ".join(words) or base.label(composition)


def short_keys(keys: Sequence[str]) -> dict[str, str]:
    """The shortest ends of dotted keys that tell them apart."""
    short = {}
    for key in keys:
        parts = key.split(".")
        ends = [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        others = [other for other in keys if other != key]
        short[key] = next(
            (end for end in ends if not any(f".{other}".endswith(f".{end}") for other in others)), key
        )
    return short


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _node(loaded: LoadedSweep, key: str, value: Any) -> Node:
    """A value of the space where it was written: the line of its choice, else of its key."""
    written = loaded.tree.find(("space", key))
    place, path = loaded.place("space", key), ("space", key)
    choices = written.child("choice") if written is not None else None
    if choices is not None:
        for node in choices.children():
            plain = node.plain()
            if plain == value and type(plain) is type(value):
                place = node.place
    return node_of(value, place, path)


def _as_first(stage: Node, first: Node) -> Node:
    """A stage that becomes the first: its own model and what that needs, begun and trained as the base's first."""
    entries = {key: child for key, child in stage.value.items() if key not in ("epochs", "train")}
    if "epochs" in first.value:
        entries["epochs"] = first.value["epochs"]
    own, theirs = stage.child("train"), first.child("train")
    train = {key: child for key, child in _entries(own).items() if key in FITTING}
    train |= {key: child for key, child in _entries(theirs).items() if key not in FITTING}
    if train:
        outer = theirs or own or stage
        entries["train"] = Node(train, outer.place, outer.path)
    changed = Node(entries, stage.place, stage.path)
    init = first.find(("transfer", "init"))
    return changed if init is None else assign(changed, ("transfer", "init"), init)


def _entries(section: Node | None) -> dict[str, Node]:
    return section.value if section is not None and section.mapping else {}


def _known_teachers(stage: Node, names: Sequence[str], kept: Sequence[str]) -> Node:
    """A stage without those of its teachers that are stages which the chain lacks."""
    path = ("transfer", "distill", "teachers")
    teachers = stage.find(path)
    if teachers is None or not isinstance(teachers.value, list):
        return stage
    lacking = set(names) - set(kept)
    left = [teacher for teacher in teachers.value if _model(teacher) not in lacking]
    if len(left) == len(teachers.value):
        return stage
    return assign(stage, path, Node(left or None, teachers.place, teachers.path))


def _model(teacher: Node) -> Any:
    model = teacher.child("model")
    return model.plain() if model is not None else None
