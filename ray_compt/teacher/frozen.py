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
from ray_compt.models.short_text import caption_lengths
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
        self._short = bool(getattr(model, "takes_short_text", False))
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
        image = [self._image(part) for (part,) in on_device(_parts(images, self.spec.rows), self.device)]
        captions = tokens.flatten(0, 1)
        groups, places = by_length(captions, self.spec.rows, self._short) if len(captions) else ([], captions)
        text = [self._text(part) for (part,) in on_device(groups, self.device)]
        return torch.cat(image)[: len(images)], torch.cat(text)[places].unflatten(0, tokens.shape[:2])

    def _image(self, images: Tensor) -> Tensor:
        pixels = normalise(images, self.spec.mean, self.spec.std).to(DTYPES[self.spec.precision])
        return torch.nn.functional.normalize(self._towers[0](pixels).float(), dim=-1)

    def _text(self, captions: Tensor) -> Tensor:
        return torch.nn.functional.normalize(self._towers[1](captions).float(), dim=-1)


def by_length(captions: Tensor, rows: int, short: bool) -> tuple[list[tuple[Tensor]], Tensor]:
    """Captions [N, L] in parts of exactly `rows`, cut behind their ends to a quarter or half of L where they fit.

    A caption's length depends on itself alone, so that its features do not depend on the others.

    Args:
        short: the tower takes captions without their padding (`models/short_text.py`).

    Returns:
        The parts, and int64 [N]: where in their concatenation each caption lies.
    """
    full = captions.shape[1]
    lengths = sorted({-(-full // 4), -(-full // 2), full}) if short else [full]
    group = torch.bucketize(caption_lengths(captions), torch.tensor(lengths))
    parts: list[tuple[Tensor]] = []
    places = torch.empty(len(captions), dtype=torch.int64)
    for number, length in enumerate(lengths):
        mine = (group == number).nonzero().flatten()
        places[mine] = len(parts) * rows + torch.arange(len(mine))
        parts += _parts(captions[mine, :length], rows)
    return parts, places


def precision_error(
    spec: TeacherSpec, device: torch.device, images: Tensor, tokens: Tensor, found: Features
) -> float:
    """Largest 1 - cos between `found`, a spec's features, and those of the same model in fp32 on the same device."""
    # Rows are filled up, and some hundred of a few samples' would be for nothing.
    rows = min(spec.rows, len(images))
    exact = FrozenModel(replace(spec, precision="fp32", compile=False, rows=rows), str(device)).embed(
        images, tokens
    )
    return max(float(1 - (a * b).sum(-1).min()) for a, b in zip(found, exact))


def _parts(tensor: Tensor, rows: int) -> Iterator[tuple[Tensor]]:
    """Consecutive parts of exactly `rows` rows; the last is filled up with zeros."""
    for start in range(0, len(tensor), rows):
        part = tensor[start : start + rows]
        missing = rows - len(part)
        yield (torch.cat([part, part.new_zeros(missing, *part.shape[1:])]) if missing else part,)
