"""Small CLIP models with weights as after training: no bias is 0 and no LayerNorm is fresh."""

from __future__ import annotations

from typing import Any

import open_clip
import torch
from torch import Tensor

VOCABULARY, CONTEXT = 40, 6


def tiny(
    vision: int = 16,
    text: int = 16,
    *,
    layers: tuple[int, int] = (2, 2),
    embed_dim: int = 12,
    head_width: int = 8,
    image_size: int = 16,
    vision_cfg: dict[str, Any] | None = None,
    text_cfg: dict[str, Any] | None = None,
    **top: Any,
) -> dict[str, Any]:
    """open_clip's configuration of a small model; widths of both towers, `layers` of (image, text)."""
    return {
        "embed_dim": embed_dim,
        "vision_cfg": {
            "width": vision,
            "layers": layers[0],
            "head_width": head_width,
            "patch_size": 8,
            "image_size": image_size,
            **(vision_cfg or {}),
        },
        "text_cfg": {
            "width": text,
            "layers": layers[1],
            "heads": text // head_width,
            "vocab_size": VOCABULARY,
            "context_length": CONTEXT,
            **(text_cfg or {}),
        },
        **top,
    }


def build(config: dict[str, Any], state: dict[str, Tensor] | None = None) -> torch.nn.Module:
    """The open_clip model of a configuration, loaded strictly and in the dtype of `state`."""
    config = dict(config)
    model = (open_clip.CustomTextCLIP if config.pop("custom_text", False) else open_clip.CLIP)(**config)
    if state is not None:
        model.to(state["visual.conv1.weight"].dtype)
        if state["logit_scale"].ndim == 1:
            model.logit_scale = torch.nn.Parameter(model.logit_scale[None])
        model.load_state_dict(state)
    return model.eval()


def trained(config: dict[str, Any], seed: int = 0, dtype: torch.dtype = torch.float64, spread: float = 0.3):
    """A model whose LayerNorms and biases are random; weights as wide as after some training."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = build(config).to(dtype)
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.startswith("logit_"):
                    value.add_(0.5)
                elif value.ndim == 1:
                    value.add_(spread * torch.randn_like(value))
                elif "resblocks" in name:
                    value.mul_(2)
    return model


def features(model: torch.nn.Module, samples: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Normalised features [samples, E] of both towers on fixed random input."""
    images, texts = batch(model, samples, seed)
    with torch.no_grad():
        return model.encode_image(images, normalize=True), model.encode_text(texts, normalize=True)


def batch(model: torch.nn.Module, samples: int = 5, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Random pictures with a mean that is not 0, and token ids whose largest is the last."""
    generator = torch.Generator().manual_seed(seed)
    height, width = model.visual.image_size
    images = torch.randn(samples, 3, height, width, generator=generator, dtype=torch.float64) + 0.5
    texts = torch.randint(1, VOCABULARY - 1, (samples, CONTEXT), generator=generator)
    texts[:, -1] = VOCABULARY - 1
    return images.to(model.visual.conv1.weight.dtype), texts


def largest_difference(model: torch.nn.Module, other: torch.nn.Module) -> float:
    """Largest difference of an entry of the normalised features of either tower."""
    return max(float((ours - theirs).abs().max()) for ours, theirs in zip(features(model), features(other)))


def contrastive_loss(model: torch.nn.Module, images: Tensor, texts: Tensor) -> Tensor:
    image, text, scale = model(images, texts)[:3]
    logits = scale * image @ text.T
    target = torch.arange(len(images))
    both = torch.nn.functional.cross_entropy(logits, target) + torch.nn.functional.cross_entropy(
        logits.T, target
    )
    return both / 2
