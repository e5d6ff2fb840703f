"""Features of a whole split: what the metrics compare. To embed something else of a sample, change `Embedded`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ray_compt.data import Index, Preprocess, decode_window, evaluation_windows, normalise
from ray_compt.errors import UserError
from ray_compt.models.short_text import without_padding

Tokenizer = Callable[[list[str]], Tensor]


@dataclass(frozen=True)
class Embedded:
    """A split seen through a model; features are float32, of unit length, on the model's device.

    Attributes:
        images: [N, E], the readable samples in the order of the split.
        texts: [U, E], the distinct captions in order of first appearance.
        pairs: [M, 2] int64 (picture, caption): which caption belongs to which picture.
        labels: each picture's class name, None where it has none.
    """

    images: Tensor
    texts: Tensor
    pairs: Tensor
    labels: list[str | None]


@torch.inference_mode()
def embed_split(
    model: nn.Module,
    index: Index,
    preprocess: Preprocess,
    tokenizer: Tokenizer,
    *,
    batch: int,
    captions_per_image: int = 1,
    device: str | torch.device = "cpu",
) -> Embedded:
    """Embed every readable sample of a split; samples that cannot be read are left out.

    Args:
        model: an open_clip CLIP on `device`, in evaluation mode.
        index: the split.
        preprocess: its deterministic side is used (resize, centre crop).
        tokenizer: captions -> int64 [n, L].
        batch: pictures, or captions, embedded at a time.
        captions_per_image: how many of a picture's captions take part, the first ones. 1 is the usual
            protocol: shards with several captions carry the raw one first.
        device: where the model lies.

    Raises:
        UserError: the split has no readable sample.
    """
    images: list[Tensor] = []
    labels: list[str | None] = []
    caption_ids: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for window in evaluation_windows(index, batch):
        part = decode_window(index, preprocess, window)
        if not part.keys:
            continue
        pixels = normalise(part.image.to(device), preprocess.mean, preprocess.std)
        images.append(model.encode_image(pixels, normalize=True).float())
        for captions, label in zip(part.captions, part.label):
            # As a set: a picture may carry the same caption twice.
            own = dict.fromkeys(captions[:captions_per_image])
            pairs += [(len(labels), caption_ids.setdefault(caption, len(caption_ids))) for caption in own]
            labels.append(label)
    if not labels:
        raise UserError(
            f"none of the {index.samples} samples to evaluate on can be decoded",
            where=index.shards[0].path,
            mend="give shards with whole pictures (JPEG, PNG, WebP) of at most 67,108,864 pixels",
        )
    texts = embed_texts(model, list(caption_ids), tokenizer, batch=batch, device=device)
    return Embedded(torch.cat(images), texts, torch.tensor(pairs, device=device), labels)


@torch.inference_mode()
def embed_texts(
    model: nn.Module,
    texts: list[str],
    tokenizer: Tokenizer,
    *,
    batch: int,
    device: str | torch.device = "cpu",
) -> Tensor:
    """Unit features [len(texts), E] float32 of captions, `batch` at a time."""
    parts = [texts[low : low + batch] for low in range(0, len(texts), batch)]
    tokens = [without_padding(model, tokenizer(part)).to(device) for part in parts]
    return torch.cat([model.encode_text(part, normalize=True).float() for part in tokens])
