"""Colours: a split that a constructed model, `Eye`, sees perfectly, so that every expected number is known."""

from __future__ import annotations

import io
import json
import math
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

from ray_compt.config.schema import DataConfig
from ray_compt.data import Index, Preprocess, make_preprocess, open_index
from ray_compt.models import make_tokenizer

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
CONFIG: dict[str, Any] = {
    "embed_dim": 3,
    "vision_cfg": {"image_size": 8, "patch_size": 8, "width": 16, "layers": 1, "head_width": 16},
    "text_cfg": {"context_length": 10, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}


class Eye(nn.Module):
    """Sees the strongest colour of a picture and reads colour words; `reads` may misread some on purpose."""

    def __init__(self, reads: dict[str, str] | None = None):
        super().__init__()
        self.logit_scale = nn.Parameter(torch.tensor([math.log(100.0)]))
        self.table = nn.Parameter(torch.zeros(49408, 3))
        names = list(COLOURS)
        for word in names:
            token = int(make_tokenizer(CONFIG)([word])[0, 1])
            self.table.data[token, names.index((reads or {}).get(word, word))] = 1.0
        self.seen: list[torch.Tensor] = []

    def encode_image(self, images: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        assert not self.training
        assert images.dtype == torch.float32
        self.seen.append(images)
        strongest = images.mean(dim=(2, 3)).argmax(dim=1)
        return torch.eye(3)[strongest] * (1 if normalize else 7)

    def encode_text(self, tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        features = self.table[tokens].sum(dim=1)
        return nn.functional.normalize(features, dim=-1) if normalize else features


@pytest.fixture
def eye() -> Callable[..., Eye]:
    return Eye


@pytest.fixture
def config() -> dict[str, Any]:
    return CONFIG


@pytest.fixture
def preprocess() -> Preprocess:
    return make_preprocess(DataConfig(train="unused", image_size=8), CONFIG, seed=0)


@pytest.fixture
def colours(tmp_path: Path) -> Callable[..., Index]:
    """Writes a shard of (captions, colour, class or None) and indexes it; the colour "broken" cannot be decoded."""

    def build(*samples: tuple[list[str], str, str | None], name: str = "colours") -> Index:
        shard = tmp_path / f"{name}.tar"
        with tarfile.open(shard, "w") as tar:
            for number, (captions, colour, label) in enumerate(samples):
                description = {"captions": captions} | ({"category": label} if label else {})
                _add(tar, f"{number:03d}.json", json.dumps(description).encode())
                _add(tar, f"{number:03d}.png", _picture(colour))
        data = DataConfig(train=str(shard), class_field="category", image_size=8)
        return open_index(str(shard), data, tmp_path / "index")

    return build


def _picture(colour: str) -> bytes:
    if colour == "broken":
        return b"no picture at all"
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), COLOURS[colour]).save(buffer, "PNG")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
