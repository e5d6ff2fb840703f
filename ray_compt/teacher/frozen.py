"""A frozen model that turns pictures and tokens into unit vectors, always the same number of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ray_compt.data import normalise
from ray_compt.errors import TrainingError
from ray_compt.models import build_model, load_config, load_state
from ray_compt.teacher.spec import TeacherSpec
from ray_compt.teacher.transfer import on_device

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Features = tuple[Tensor, Tensor]


class FrozenModel:
    """The model of a `TeacherSpec` on a device.

    Args:
        device: torch's name; None: the first GPU where there is one.

    Raises:
        UserError: no whole model in the spec's folder.
    """

    def __init__(self, spec: TeacherSpec, device: str | None = None):
        self.spec = spec
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model: Any = build_model(load_config(spec.folder))
        model.load_state_dict(load_state(spec.folder))
        self._model = model.eval().requires_grad_(False).to(self.device, DTYPES[spec.precision])
        towers = model.encode_image, model.encode_text
        self._towers = tuple(map(torch.compile, towers)) if spec.compile else towers

    @torch.inference_mode()
    def embed(self, images: Tensor, tokens: Tensor) -> Features:
        """Both towers' unit vectors on the device, float32 [n, E] and [n, K, E].

        Args:
            images: uint8 [n, 3, H, W], not normalised.
            tokens: int64 [n, K, L].

        Raises:
            TrainingError: the device has too little memory.
        """
        try:
            return self._embed_all(images, tokens)
        except torch.OutOfMemoryError as error:
            raise TrainingError(
                f"out of memory on {self.device} with {self.spec.rows} samples at once",
                where="teacher",
                mend="lower teacher.rows, write teacher.precision: bf16, or give it a device of its own "
                "(teacher.gpus: 1)",
            ) from error

    def _embed_all(self, images: Tensor, tokens: Tensor) -> Features:
        parts = on_device(_parts(images, tokens, self.spec.rows), self.device)
        image, text = zip(*(self._embed(*part) for part in parts))
        return torch.cat(image)[: len(images)], torch.cat(text)[: len(images)]

    def _embed(self, images: Tensor, tokens: Tensor) -> Features:
        encode_image, encode_text = self._towers
        pixels = normalise(images, self.spec.mean, self.spec.std).to(DTYPES[self.spec.precision])
        image = torch.nn.functional.normalize(encode_image(pixels).float(), dim=-1)
        text = torch.nn.functional.normalize(encode_text(tokens.flatten(0, 1)).float(), dim=-1)
        return image, text.unflatten(0, tokens.shape[:2])


def precision_error(spec: TeacherSpec, images: Tensor, tokens: Tensor, found: Features) -> float:
    """Largest 1 - cos between `found`, a spec's features, and those of the same model in fp32."""
    exact = FrozenModel(replace(spec, precision="fp32", compile=False)).embed(images, tokens)
    return max(float(1 - (a * b).sum(-1).min()) for a, b in zip(found, exact))


def _parts(images: Tensor, tokens: Tensor, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Consecutive parts of exactly `rows` rows; the last is filled up with zeros."""
    for start in range(0, len(images), rows):
        yield _filled(images[start : start + rows], rows), _filled(tokens[start : start + rows], rows)


def _filled(part: Tensor, rows: int) -> Tensor:
    if len(part) == rows:
        return part
    return torch.cat([part, part.new_zeros(rows - len(part), *part.shape[1:])])
