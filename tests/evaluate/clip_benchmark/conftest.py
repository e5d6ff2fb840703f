"""The scanned digits as a WebDataset folder in clip_benchmark's layout, which our own index reads too."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from ray_compt.config.schema import DataConfig
from ray_compt.data import decode_window, evaluation_windows, make_preprocess, normalise, open_index
from ray_compt.data.digits import CLASS_NAMES
from ray_compt.models import build_model, make_tokenizer, save_model
from ray_compt.train.loss import Gathered, clip_loss, unit
from tests.shards import add_member

STEPS = 25
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
TEMPLATES = ("a scan of the digit {}", "{}, by hand")


def model_config() -> dict[str, Any]:
    return {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 32, "layers": 1, "head_width": 16},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, digits: Callable[..., Path]) -> Path:
    """A stage's folder with weights that have learnt some of the pairs: an untrained model ranks nearly at random."""
    folder, config = tmp_path_factory.mktemp("model"), model_config()
    trained = build_model(config, seed=0)
    images, texts = _pairs(digits("retrieval"), config)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=3e-3)
    valid = torch.ones(len(images), dtype=torch.bool)
    for _ in range(STEPS):
        image, text, scale = trained(images, texts)
        batch = Gathered(unit(image), unit(text).unsqueeze(1), valid, 0)
        optimizer.zero_grad()
        clip_loss(batch.image, batch.text, scale, batch).backward()
        optimizer.step()
    save_model(folder, trained.state_dict(), config, mean=MEAN, std=STD)
    return folder


def _pairs(folder: Path, config: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures, normalised, and the tokens of their captions."""
    shards = str(folder / "test" / "{0..1}.tar")
    data = DataConfig(train=shards, image_size=16)
    preprocess = make_preprocess(data, config, seed=0, mean=MEAN, std=STD)
    index = open_index(shards, data, folder / "index")
    (window,) = evaluation_windows(index, 1000)
    batch = decode_window(index, preprocess, window)
    captions = [captions[0] for captions in batch.captions]
    return normalise(batch.image, MEAN, STD), make_tokenizer(config)(captions)


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a data set as clip_benchmark's exporter lays it out; every caption is another one."""
    made: dict[str, Path] = {}

    def build(kind: str = "classification", count: int = 96, shards: int = 2) -> Path:
        if kind not in made:
            made[kind] = _write(tmp_path_factory.mktemp(kind), kind, count, shards)
        return made[kind]

    return build


def _write(folder: Path, kind: str, count: int, shards: int) -> Path:
    (folder / "test").mkdir()
    (folder / "test" / "nshards.txt").write_text(f"{shards}\n")
    (folder / "classnames.txt").write_text("\n".join(CLASS_NAMES) + "\n")
    templates = [template.replace("{}", "{c}") for template in TEMPLATES]
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(templates) + "\n")
    if kind == "retrieval":
        (folder / "dataset_type.txt").write_text("retrieval\n")
    found = load_digits()
    for shard in range(shards):
        with tarfile.open(folder / "test" / f"{shard}.tar", "w") as tar:
            for row in range(shard * count // shards, (shard + 1) * count // shards):
                target = int(found.target[row])
                captions = [f"number {row}, a {CLASS_NAMES[target]}"]
                description = {"category": CLASS_NAMES[target], "captions": captions}
                add_member(tar, f"s{row:07d}.png", _picture(found.images[row], row))
                add_member(tar, f"s{row:07d}.cls", str(target).encode())
                add_member(tar, f"s{row:07d}.txt", "\n".join(captions).encode())
                add_member(tar, f"s{row:07d}.json", json.dumps(description).encode())
    return folder


def _picture(pixels: Any, row: int) -> bytes:
    """Of several sizes, larger than the model's pictures and not square, so that resizing and cropping count."""
    picture = Image.fromarray((pixels * 255 / 16).astype("uint8"))
    buffer = io.BytesIO()
    picture.resize((20 + row % 7, 24), Image.Resampling.BILINEAR).save(buffer, "PNG")
    return buffer.getvalue()
