"""Stored models and checkpoint files, given to `compt grow` and `compt eval`."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.bad_input.place import Place, model
from tests.bad_input.row import Chapter, Row

WEIGHTS, CONFIG = "model.safetensors", "open_clip_config.json"
Spoil = Callable[[Path], object]


def _eval(name: str, title: str, spoil: Spoil, place: str, *says: str) -> Row:
    """`compt eval` of a stage's folder with something wrong in it."""

    def make(at: Place) -> list[str | Path]:
        folder = at.model()
        spoil(folder)
        return ["eval", folder, "--data", "builtin:digits/val"]

    return Row(f"stored-{name}", title, make, place, says)


def _header(name: str, title: str, header: dict[str, Any] | bytes, length: int | None = None) -> Row:
    """Weights that begin with this header, said to be `length` bytes long."""
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    stored = struct.pack("<Q", len(content) if length is None else length) + content
    return _eval(
        name, title, lambda folder: (folder / WEIGHTS).write_bytes(stored), f"model/{WEIGHTS}", "damaged or"
    )


def _config(name: str, title: str, says: str, change: Callable[[dict[str, Any]], object]) -> Row:
    def spoil(folder: Path) -> None:
        document = json.loads((folder / CONFIG).read_text())
        change(document)
        (folder / CONFIG).write_text(json.dumps(document))

    return _eval(name, title, spoil, f"model/{CONFIG}", says)


def _tensors(change: Callable[[str, torch.Tensor], torch.Tensor]) -> Spoil:
    def spoil(folder: Path) -> None:
        state = load_file(folder / WEIGHTS)
        save_file(
            {name: change(name, tensor).contiguous() for name, tensor in state.items()}, folder / WEIGHTS
        )

    return spoil


def _diverged(name: str, tensor: torch.Tensor) -> torch.Tensor:
    return torch.full_like(tensor, torch.nan) if name == "visual.proj" else tensor


class _Attack:
    """A pickle of it runs a program when it is loaded carelessly."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.file}",)


def _file(
    name: str, title: str, write: Callable[[Path], object], *says: str, suffix: str = ".pt", **more: Any
) -> Row:
    """`compt grow` of a checkpoint file."""

    def make(at: Place) -> list[str | Path]:
        file = at.folder / f"checkpoint{suffix}"
        write(file)
        models = {
            key: at.write(f"{key}.json", json.dumps(model(width)))
            for key, width in (("from", 16), ("to", 32))
        }
        return ["grow", file, "--from", models["from"], "--to", models["to"], "--out", at.folder / "out"]

    return Row(f"file-{name}", title, make, f"checkpoint{suffix}", says, **more)


def _attack(file: Path) -> _Attack:
    return _Attack(file.parent / "harm")


def _old_format(file: Path) -> None:
    torch.save({"weight": _attack(file)}, file, _use_new_zipfile_serialization=False)


def _grow(
    name: str,
    title: str,
    target: str | dict[str, Any],
    place: str,
    *says: str,
    **paths: Callable[[Place], Path],
) -> Row:
    """`compt grow` of a good model of width 32."""

    def make(at: Place) -> list[str | Path]:
        content = target if isinstance(target, str) else json.dumps(target)
        out = paths["out"](at) if "out" in paths else at.folder / "out"
        return ["grow", at.model(width=32), "--to", at.write("to.json", content), "--out", out]

    return Row(f"grow-{name}", title, make, place, says)


STORED = Chapter(
    "Stored models",
    "What lies in a folder is believed as little as what is written in a chain file: it may come from strangers.",
    (
        _eval(
            "nothing",
            "A folder without a model",
            lambda folder: [file.unlink() for file in folder.iterdir()],
            f"model/{CONFIG}",
            "no model here",
        ),
        _eval(
            "weightless",
            "A folder without weights",
            lambda folder: (folder / WEIGHTS).unlink(),
            f"model/{WEIGHTS}",
            "no model here",
        ),
        _eval(
            "no-bytes",
            "Weights of no bytes",
            lambda folder: (folder / WEIGHTS).write_bytes(b""),
            f"model/{WEIGHTS}",
            "damaged",
        ),
        _eval(
            "cut",
            "Weights that were cut off",
            lambda folder: os.truncate(folder / WEIGHTS, 100_000),
            f"model/{WEIGHTS}",
            "damaged",
        ),
        _header("header", "A header that is no JSON", b'{"a": [[[['),
        _header("header-length", "A header of 4 EiB", {}, 2**62),
        _header(
            "offsets",
            "Tensors beyond the end of the file",
            {"logit_scale": {"dtype": "F32", "shape": [1], "data_offsets": [0, 2**40]}},
        ),
        _eval(
            "pickle",
            "A pickle under the name of safetensors",
            lambda folder: torch.save({"a": 1}, folder / WEIGHTS),
            f"model/{WEIGHTS}",
            "damaged",
        ),
        _eval(
            "foreign",
            "Weights of another model",
            lambda folder: save_file({"a": torch.ones(2)}, folder / WEIGHTS),
            f"model/{WEIGHTS}",
            "not this model's",
        ),
        _eval(
            "integers",
            "Whole numbers for weights",
            _tensors(lambda _, tensor: tensor.to(torch.int32)),
            f"model/{WEIGHTS}",
            "another kind of number",
        ),
        _eval(
            "diverged",
            "Weights that are not numbers",
            _tensors(_diverged),
            f"model/{WEIGHTS}",
            "visual.proj hold NaN",
        ),
        _eval(
            "config-json",
            "A configuration that is no JSON",
            lambda folder: (folder / CONFIG).write_text('{"model_cfg": {'),
            f"model/{CONFIG}",
            "damaged",
        ),
        _eval(
            "config-deep",
            "A configuration nested 200,000 deep",
            lambda folder: (folder / CONFIG).write_text("[" * 200_000),
            f"model/{CONFIG}",
            "damaged",
        ),
        _eval(
            "config-list",
            "A configuration that is a list",
            lambda folder: (folder / CONFIG).write_text("[]"),
            f"model/{CONFIG}",
            "no model_cfg",
        ),
        _config(
            "tower",
            "A list for a tower",
            "vision_cfg cannot be []",
            lambda config: config["model_cfg"].update(vision_cfg=[]),
        ),
        _config(
            "negative",
            "A negative width",
            "embed_dim -3 is not positive",
            lambda config: config["model_cfg"].update(embed_dim=-3),
        ),
        _config(
            "billion",
            "A billion layers",
            "layers 1000000000 is above",
            lambda config: config["model_cfg"]["vision_cfg"].update(layers=10**9),
        ),
        _config(
            "key",
            "A key that open_clip does not know",
            "unknown key 'code'",
            lambda config: config["model_cfg"].update(code="x"),
        ),
        _config(
            "download",
            "A tower to be downloaded from a hub",
            "timm knows no model",
            lambda config: config["model_cfg"]["vision_cfg"].update(timm_model_name="hf-hub:a/b"),
        ),
        _config(
            "mean",
            "A mean of two colours",
            "no normalisation",
            lambda config: config["preprocess_cfg"].update(mean=[0.5, 0.5]),
        ),
        _config(
            "std",
            "A standard deviation of 0",
            "no normalisation",
            lambda config: config["preprocess_cfg"].update(std=[0, 0, 0]),
        ),
    ),
)

FILES = Chapter(
    "Checkpoint files",
    "Of a `.pt`, `.pth` or `.bin` file only tensors are unpickled (`weights_only`): code in it is not run.",
    (
        *(
            _file(
                f"attack{suffix}",
                f"A pickle that would run a program ({suffix})",
                lambda file: file.write_bytes(pickle.dumps(_attack(file))),
                "not run",
                suffix=suffix,
                harmless="harm",
            )
            for suffix in (".pt", ".pth", ".bin")
        ),
        _file(
            "attack-zip",
            "The same inside PyTorch's archive",
            lambda file: torch.save({"weight": _attack(file)}, file),
            "not run",
            harmless="harm",
        ),
        _file("attack-old", "The same in PyTorch's old format", _old_format, "not run", harmless="harm"),
        _file(
            "attack-name",
            "The same under the name of safetensors",
            lambda file: torch.save(_attack(file), file),
            "damaged",
            suffix=".safetensors",
            harmless="harm",
        ),
        _file("none", "No such file", lambda file: None, "nothing to open"),
        _file(
            "no-bytes", "A file of no bytes", lambda file: file.write_bytes(b""), "no checkpoint of tensors"
        ),
        _file("text", "A text", lambda file: file.write_bytes(b"hello, world"), "no checkpoint of tensors"),
        _file(
            "numbers",
            "Numbers instead of tensors",
            lambda file: torch.save({"weight": 1}, file),
            "other values",
        ),
        _file(
            "foreign",
            "Tensors of another model",
            lambda file: torch.save({"weight": torch.ones(2)}, file),
            "not this model's",
        ),
        Row(
            "file-model",
            "A checkpoint file without its model",
            lambda at: ["eval", at.write("checkpoint.pt", b"x"), "--data", "builtin:digits/val"],
            "checkpoint.pt",
            ("does not say which model", "--from"),
        ),
    ),
)

GROWTH = Chapter(
    "Growing a model",
    "Nothing is written before everything is known to fit, and nothing that exists is overwritten.",
    (
        _grow("smaller", "A smaller target", model(16), "model --to to.json", "32"),
        _grow("patch", "A larger patch", model(64, patch_size=8), "model --to to.json", "patch_size differs"),
        _grow(
            "heads",
            "A target whose heads do not divide its width",
            model(64, head_width=7),
            "model ViT-64x1-4, vision_cfg",
            "head_width 7",
        ),
        _grow(
            "billion",
            "A target of a billion layers",
            model(64, layers=10**9),
            "model ViT-64x1000000000-4, vision_cfg",
            "above 1000",
        ),
        _grow("empty", "An empty file for the target", "", "to.json", "no model configuration"),
        _grow("list", "A list for the target", "[1, 2]", "to.json", "no model configuration"),
        _grow(
            "tag",
            "A target with a tag that would run a program",
            "!!python/object/apply:os.abort []",
            "to.json:1",
            "the YAML tag",
        ),
        _grow(
            "over-model",
            "Into a model's folder",
            model(64),
            "model",
            "a model here already",
            out=lambda at: at.folder / "model",
        ),
        _grow(
            "over-stage",
            "Into a finished stage",
            model(64),
            "run/01-small",
            "a model here already",
            out=lambda at: at.kept,
        ),
        _grow(
            "over-notes",
            "Into a folder with other files",
            model(64),
            "notes",
            "something else here already",
            out=lambda at: at.write("notes/a.txt", "x").parent,
        ),
        _grow(
            "file",
            "Over a file",
            model(64),
            "notes.txt",
            "here already",
            out=lambda at: at.write("notes.txt", "x"),
        ),
        _grow(
            "below",
            "Below a file",
            model(64),
            "notes.txt/out",
            "cannot write",
            out=lambda at: at.write("notes.txt", "x") / "out",
        ),
        _grow(
            "long",
            "Into a folder whose name is too long",
            model(64),
            "x" * 300,
            "File name too long",
            out=lambda at: at.folder / ("x" * 300),
        ),
    ),
)
