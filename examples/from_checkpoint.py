"""Start a chain from an open_clip checkpoint that somebody else has trained.

    python -m examples.from_checkpoint [FOLDER]

The first stage grows from the checkpoint, and follows it as its teacher; the next one grows from the first, as always.
In a chain file:

    stages:
      - {model: S, epochs: 24, init: "local-dir:FOLDER", distill: {teachers: [{model: FOLDER}]}}
      - {model: B, epochs: 18}

FOLDER holds open_clip_config.json and safetensors weights, as a model on the Hugging Face hub does. Weights that
open_clip knows by a tag become such a folder with `compt grow ViT-B-32/laion2b_s34b_b79k --to ViT-B-32 --out FOLDER`.
"""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from rich.console import Console
from safetensors.torch import save_file

from examples.shapes import chain, main_folder, model, write_shards
from ray_compt.chain import train_chain
from ray_compt.config import make_chain


def main(folder: Path) -> Path:
    """Train two models from a checkpoint; returns the run folder."""
    write_shards(folder / "shards")
    checkpoint = write_checkpoint(folder / "theirs")
    stages = [
        {
            "name": "first",
            "model": model(48),
            "epochs": 1,
            "init": f"local-dir:{checkpoint}",
            "distill": {"teachers": [{"model": str(checkpoint)}]},
        },
        {"name": "second", "model": model(64), "epochs": 1},
    ]
    run = folder / "run"
    train_chain(make_chain(chain(folder / "shards", stages), (), where="stages"), str(run), console=Console())
    return run


def write_checkpoint(folder: Path) -> Path:
    """A checkpoint of plain open_clip, in the layout of the hub. (An untrained one: it is only an example.)"""
    torch.manual_seed(0)
    config = model(32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(open_clip.CLIP(**config).state_dict(), folder / "open_clip_model.safetensors")
    normalisation = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    document = {"model_cfg": config, "preprocess_cfg": normalisation}
    (folder / "open_clip_config.json").write_text(json.dumps(document))
    return folder


if __name__ == "__main__":
    main(main_folder())
