"""Teachers that are none, that read other input, or whose weights are damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.bad_input.place import Place, chain
from tests.bad_input.row import Chapter, Row

Spoil = Callable[[Path], object]
LINE, CONFIG = "chain.yaml:42", "open_clip_config.json"


def _list(name: str, title: str, teachers: Any, *says: str, place: str = LINE) -> Row:
    """`compt train` of a chain whose second stage has this list of teachers."""
    return Row(f"teacher-{name}", title, lambda at: _train(at, teachers), place, says)


def _outside(name: str, title: str, spoil: Spoil, place: str, *says: str) -> Row:
    """The same with a model from outside the chain, after something happened to its folder."""

    def make(at: Place) -> list[str | Path]:
        folder = at.model("wise", width=32)
        spoil(folder)
        return _train(at, [{"model": str(folder)}])

    return Row(f"teacher-{name}", title, make, place, says)


def _train(at: Place, teachers: Any) -> list[str | Path]:
    small, large = chain()["stages"]
    return at.train(stages=[small, {**large, "distill": {"teachers": teachers}}])


def _config(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(folder: Path) -> None:
        file = folder / CONFIG
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    return spoil


def _not_finite(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["text_projection"][0, 0] = torch.nan
    save_file(state, folder / "model.safetensors")


CHAPTER = Chapter(
    "Teachers",
    "Everything about a teacher from outside the chain is read and compared before the first stage trains.",
    (
        _list("text", "A name for the list", "small", "expected a list of sections", place="chain.yaml:41"),
        _list("name", "A name for a teacher", ["small"], "a section with model and weight"),
        _list("weight", "A weight of 0", [{"model": "small", "weight": 0}], "above 0", place="chain.yaml:43"),
        _list("itself", "A stage that teaches itself", [{"model": "large"}], "is not trained before"),
        _list(
            "twice",
            "A teacher named twice",
            [{"model": "small"}, {"model": "small"}],
            "named twice",
            place="chain.yaml:43",
        ),
        _list("none", "No such stage or folder", [{"model": "smalll"}], "neither an earlier stage nor"),
        _outside(
            "context",
            "A teacher that reads captions of another length",
            _config(lambda document: document["model_cfg"]["text_cfg"].update(context_length=12)),
            LINE,
            "context_length of the teacher",
        ),
        _outside(
            "picture",
            "A teacher that reads pictures of another size",
            _config(lambda document: document["model_cfg"]["vision_cfg"].update(image_size=16)),
            LINE,
            "image_size of the teacher",
        ),
        _outside(
            "normalisation",
            "A teacher with an impossible normalisation",
            _config(lambda document: document["preprocess_cfg"].update(std=[0, 1, 1])),
            f"wise/{CONFIG}",
            "is no normalisation",
        ),
        _outside(
            "no-config",
            "A folder without a configuration",
            lambda folder: os.remove(folder / CONFIG),
            f"wise/{CONFIG}",
            "there is no model here",
        ),
        _outside(
            "gone",
            "A teacher's weights, removed",
            lambda folder: os.remove(folder / "model.safetensors"),
            "wise/model.safetensors",
            "there is no model here",
        ),
        _outside(
            "cut",
            "A teacher's weights, cut off",
            lambda folder: os.truncate(folder / "model.safetensors", 999),
            "wise/model.safetensors",
            "damaged",
        ),
        _outside(
            "foreign",
            "Weights that are not the configuration's",
            _config(lambda document: document["model_cfg"].update(embed_dim=8)),
            "wise/model.safetensors",
            "not this model's",
        ),
        _outside("nan", "Weights that are not finite", _not_finite, "teacher wise", "NaN or infinity"),
    ),
)
