"""From the form that people write to the form that `schema.Chain` validates.

Sections that all stages share (train, workers, teacher, transfer) are merged into every stage, key by key, the
stage's own values on top; a stage may write a key of train or transfer without its section.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ray_compt.config.schema import Chain, StageConfig, TrainConfig
from ray_compt.config.transfer_keys import TransferConfig
from ray_compt.config.tree import Node
from ray_compt.errors import UserError

SECTIONS = ("train", "workers", "teacher", "transfer")
STAGE_KEYS = tuple(StageConfig.model_fields)
CHAIN_KEYS = (*(key for key in Chain.model_fields if key != "stages"), *SECTIONS, "stages")
# The paper's sizes, which a chain file may name by their letters.
FAMILY_LETTERS = ("N", "T", "C", "S", "M", "B", "BL", "L")
# Key -> its section, for keys that a stage may write flat: those of exactly one of train and transfer.
FLAT_KEYS = {
    key: section
    for section, model, other in (
        ("train", TrainConfig, TransferConfig),
        ("transfer", TransferConfig, TrainConfig),
    )
    for key in model.model_fields
    if key not in other.model_fields and key not in STAGE_KEYS
}


def unfold(tree: Node) -> Node:
    """Move the flat keys of every stage into their sections; all else is left as it is.

    Raises:
        UserError: a stage gives a key both flat and in its section.
    """
    stages = tree.child("stages")
    if stages is None or not isinstance(stages.value, list):
        return tree
    unfolded = [_unfold_stage(stage) for stage in stages.value]
    return Node({**tree.value, "stages": Node(unfolded, stages.place, stages.path)}, tree.place, tree.path)


def resolve(tree: Node) -> Node:
    """An unfolded chain file in the form of `schema.Chain`: every stage complete, no shared sections."""
    shared = {name: tree.value[name] for name in SECTIONS if name in tree.value}
    rest = {key: child for key, child in tree.value.items() if key not in SECTIONS}
    stages = tree.child("stages")
    if stages is not None and isinstance(stages.value, list):
        names = stage_names(stages)
        resolved = [
            _complete(stage, name, shared) if stage.mapping else stage
            for stage, name in zip(stages.value, names)
        ]
        rest["stages"] = Node(resolved, stages.place, stages.path)
    return Node(rest, tree.place, tree.path)


def stage_names(stages: Node) -> list[str]:
    """The stages' names: their own, else their model's with -2, -3, ... where it would come twice."""
    plain = [stage.plain() for stage in stages.value]
    given = [stage.get("name") if isinstance(stage, dict) else None for stage in plain]
    taken = Counter(name for name in given if isinstance(name, str))
    names = []
    for stage, name in zip(plain, given):
        if not isinstance(name, str):
            name = model_label(stage.get("model") if isinstance(stage, dict) else None)
            repeats = 1
            while taken[name if repeats == 1 else f"{name}-{repeats}"]:
                repeats += 1
            name = name if repeats == 1 else f"{name}-{repeats}"
            taken[name] += 1
        names.append(name)
    return names


def model_label(model: Any) -> str:
    """A name for a stage of this model: its own (`S` is `ViT-S-16`), or an inline model's vision tower
    (`ViT-48x4-8`: width x layers - patch). `ray_compt.models.model_name` says the same."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", _model_words(model)).strip("-._") or "model"


def _model_words(model: Any) -> str:
    if isinstance(model, str):
        return f"ViT-{model}-16" if model in FAMILY_LETTERS else model
    vision = model.get("vision_cfg") if isinstance(model, dict) else None
    if not isinstance(vision, dict):
        return "model"
    if vision.get("timm_model_name"):
        return str(vision["timm_model_name"])
    width, layers = vision.get("width", 768), vision.get("layers", 12)
    if isinstance(layers, list):
        return f"ResNet-{width}x{'.'.join(map(str, layers))}"
    return f"ViT-{width}x{layers}-{vision.get('patch_size', 16)}"


def _unfold_stage(stage: Node) -> Node:
    if not stage.mapping:
        return stage
    entries = {key: child for key, child in stage.value.items() if key not in FLAT_KEYS}
    for key, child in stage.value.items():
        if key not in FLAT_KEYS:
            continue
        name = FLAT_KEYS[key]
        section = entries.get(name) or Node({}, child.place, (*stage.path, name))
        if section.value is None:
            section = Node({}, section.place, section.path)
        if not section.mapping:
            continue  # validation says that the section is none
        if key in section.value:
            raise UserError(
                f"{key} is given twice in this stage, also at {section.value[key].place}",
                where=child.place,
                mend=f"keep {key} or {name}.{key}",
            )
        entries[name] = Node({**section.value, key: child}, section.place, section.path)
    return Node(entries, stage.place, stage.path)


def _complete(stage: Node, name: str, shared: dict[str, Node]) -> Node:
    entries = dict(stage.value)
    entries.setdefault("name", Node(name, stage.place, (*stage.path, "name")))
    for section in SECTIONS:
        empty = Node({}, stage.place, (*stage.path, section))
        below, above = _filled(shared.get(section), empty), _filled(entries.get(section), empty)
        # A shared section that is none must not vanish behind a stage's own: validation names it.
        entries[section] = _merge(below, above) if below.mapping else below
    return Node(entries, stage.place, stage.path)


def _filled(section: Node | None, empty: Node) -> Node:
    # `train:` with every line below it commented out is null.
    if section is None:
        return empty
    return Node({}, section.place, section.path) if section.value is None else section


def _merge(below: Node, above: Node) -> Node:
    if not (below.mapping and above.mapping):
        return above
    merged = dict(below.value)
    for key, child in above.value.items():
        merged[key] = _merge(below.value[key], child) if key in below.value else child
    outer = above if above.value else below
    return Node(merged, outer.place, outer.path)
