"""Models from outside that a chain cannot begin with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bad_input.place import Place, chain
from tests.bad_input.row import Chapter, Row


def _begin(
    name: str,
    title: str,
    place: str,
    *says: str,
    width: int = 16,
    spoil: Callable[[Path], object] = lambda folder: None,
    keys: dict[str, Any] | None = None,
    stage: int = 0,
) -> Row:
    """`compt train` of a chain that begins with a model, after something happened to its folder."""

    def make(at: Place) -> list[str | Path]:
        folder = at.model("wise", width=width)
        spoil(folder)
        stages = chain()["stages"]
        stages[stage] = {**stages[stage], "init": f"local-dir:{folder}", **(keys or {})}
        return at.train("--run-dir", at.folder / "new", stages=stages)

    return Row(f"init-{name}", title, make, place, says)


CHAPTER = Chapter(
    "Chains that begin with a model from outside",
    "The model is read, and compared with the first stage's, before anything trains.",
    (
        _begin("later", "A later stage that begins with it", "chain.yaml", "inside the first stage", stage=1),
        _begin(
            "random", "Random weights from a model", "chain.yaml", "take nothing", keys={"growth": "random"}
        ),
        _begin(
            "nothing", "A prefix without a folder", "chain.yaml", "no folder", keys={"init": "local-dir:"}
        ),
        _begin("larger", "A model larger than the first stage", "stage small", "would shrink", width=32),
        _begin(
            "no-config",
            "A folder without a configuration",
            "wise/open_clip_config.json",
            "there is no model here",
            spoil=lambda folder: os.remove(folder / "open_clip_config.json"),
        ),
        _begin(
            "cut",
            "Its weights, cut off",
            "wise/model.safetensors",
            "damaged",
            spoil=lambda folder: os.truncate(folder / "model.safetensors", 999),
        ),
    ),
)
