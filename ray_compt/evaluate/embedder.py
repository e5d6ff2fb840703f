"""A model as a function from pictures and captions to unit features, at a batch size that fits its device.

The one place where evaluation runs a model; whether in this process or in an actor of a cluster is decided in
`embed.py` and `cluster.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ray_compt.data import normalise
from ray_compt.errors import UserError
from ray_compt.models.memory import is_out_of_memory
from ray_compt.models.short_text import without_padding


class Embedder:
    """Embeds on one device; halves its batch where memory runs out, and stays there.

    Args:
        model: an open_clip CLIP on `device`, in evaluation mode.
        mean, std: its normalisation, R G B.
        batch: pictures, or captions, at a time, to begin with.
        device: where the model lies.
    """

    def __init__(
        self,
        model: nn.Module,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
        *,
        batch: int,
        device: str | torch.device = "cpu",
    ):
        self._model, self._mean, self._std = model, mean, std
        self._device = device
        self.batch = batch

    def pictures(self, images: Tensor) -> Tensor:
        """Features [n, E] float32 on the CPU, of unit length, of pictures uint8 [n, 3, H, W].

        Raises:
            UserError: not even one picture fits into memory.
        """
        return self._in_parts(images, self._encode_pictures)

    def texts(self, tokens: Tensor) -> Tensor:
        """Features [n, E] float32 on the CPU, of unit length, of tokens int64 [n, L].

        Raises:
            UserError: not even one caption fits into memory, or the text tower takes other tokens.
        """
        check_context(self._model, tokens)
        return self._in_parts(tokens, self._encode_texts)

    def _encode_pictures(self, images: Tensor) -> Tensor:
        pixels = normalise(images.to(self._device), self._mean, self._std)
        return self._model.encode_image(pixels, normalize=True)

    def _encode_texts(self, tokens: Tensor) -> Tensor:
        return self._model.encode_text(without_padding(self._model, tokens).to(self._device), normalize=True)

    @torch.inference_mode()
    def _in_parts(self, rows: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor:
        parts: list[Tensor] = []
        low = 0
        while low < len(rows):
            part = self._tried(rows[low : low + self.batch], encode)
            if part is None:
                self.batch //= 2
                continue
            parts.append(part)
            low += len(part)
        # An empty batch still has to say how wide features are.
        return torch.cat(parts) if parts else torch.empty(0, 0)

    def _tried(self, rows: Tensor, encode: Callable[[Tensor], Tensor]) -> Tensor | None:
        """Features of all rows, None where they do not fit into memory."""
        try:
            return encode(rows).float().cpu()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            if self.batch == 1:
                raise UserError(
                    f"out of memory on {self._device} with one sample at a time",
                    mend="evaluate on a device with more free memory",
                ) from error
        # Here, where the error no longer holds the tensors that did not fit.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def check_context(model: nn.Module, tokens: Tensor) -> None:
    """Refuse tokens that are not those of the model's text tower.

    Raises:
        UserError: the tower's context or vocabulary is another than the configuration's, from which the tokenizer
            was made.
    """
    tower: Any = getattr(model, "text", model)
    positions, words = getattr(tower, "positional_embedding", None), getattr(tower, "token_embedding", None)
    context = len(positions) if isinstance(positions, Tensor) else tokens.shape[1]
    if context != tokens.shape[1]:
        raise UserError(
            f"the text tower takes {context} tokens, and its configuration says {tokens.shape[1]}",
            mend="give text_cfg.context_length of the configuration that the model was trained with",
        )
    vocabulary = getattr(words, "num_embeddings", None)
    if vocabulary is not None and len(tokens) and int(tokens.max()) >= vocabulary:
        raise UserError(
            f"the text tower knows {vocabulary} tokens, and the tokenizer gives number {int(tokens.max())}",
            mend="give the configuration that the model was trained with, with its tokenizer",
        )
