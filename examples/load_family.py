"""Load a trained family in plain open_clip, and classify pictures with each of its models.

    python -m examples.load_family [FOLDER]

Trains a family of two first; `predict` is all that somebody needs who has only the models.
"""

from __future__ import annotations

from pathlib import Path

import open_clip
import torch
from PIL import Image
from rich.console import Console

from examples.shapes import COLOURS, SHAPES, chain, main_folder, model, write_shards

NAMES = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]


def main(folder: Path) -> dict[str, str]:
    """Train two models, and say what each of them takes a red picture for, by the stage's folder."""
    found = predict_all(train(folder), Image.new("RGB", (32, 32), COLOURS["red"]))
    for stage, name in found.items():
        print(f"{stage}: {name}")
    return found


def train(folder: Path) -> Path:
    """Train a family; returns its run folder."""
    from ray_compt.chain import train_chain
    from ray_compt.config import make_chain

    write_shards(folder / "shards")
    stages = [{"model": model(32), "epochs": 3}, {"model": model(48), "epochs": 1}]
    family = make_chain(chain(folder / "shards", stages), (), where="stages")
    train_chain(family, str(folder / "run"), console=Console())
    return folder / "run"


def predict_all(run: Path, picture: Image.Image) -> dict[str, str]:
    """What every stage of a run takes a picture for."""
    stages = sorted(config.parent for config in run.glob("*/open_clip_config.json"))
    return {stage.name: predict(stage, picture) for stage in stages}


def predict(stage: Path, picture: Image.Image) -> str:
    """The class whose caption fits a picture best. Only open_clip from here on."""
    clip, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{stage}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{stage}")
    clip.eval()
    with torch.no_grad():
        image = clip.encode_image(preprocess(picture)[None], normalize=True)
        texts = clip.encode_text(tokenizer([f"a picture of a {name}" for name in NAMES]), normalize=True)
    return NAMES[int((image @ texts.T).argmax())]


if __name__ == "__main__":
    main(main_folder())
