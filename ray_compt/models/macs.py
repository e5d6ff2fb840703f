"""Multiply-accumulates (MACs) of one forward pass, from first principles for plain transformers.

Counted: matrix products and convolutions. Not counted: embedding look-ups, norms, activations, softmax and
biases. Attention is counted in full, also the text tower's causal one and under patch dropout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ray_compt.models.build import meta_model
from ray_compt.models.names import CONTEXT_LENGTH
from ray_compt.models.validate import as_pair


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one forward pass over one sample.

    Attributes:
        image: the image tower, one picture.
        text: the text tower, one caption.
    """

    image: int
    text: int

    def forward(self, captions: int) -> int:
        """One picture with `captions` captions."""
        return self.image + captions * self.text


def count_macs(config: dict[str, Any]) -> Macs:
    """MACs of both towers of an open_clip configuration.

    ViTs and text transformers are counted analytically; every other tower (ResNet, timm, attention pooling)
    is run on shapes alone under torch's FLOP counter, a multiply-accumulate being two FLOPs.
    """
    vision, text = config["vision_cfg"], config["text_cfg"]
    plain_vit = not (
        vision.get("timm_model_name")
        or vision.get("attentional_pool")
        or isinstance(vision.get("layers"), (list, tuple))
    )
    return Macs(
        image=_vit(vision, config["embed_dim"]) if plain_vit else measured_macs(config).image,
        text=_text_transformer(text, config["embed_dim"]),
    )


def measured_macs(config: dict[str, Any]) -> Macs:
    """MACs of both towers as torch's FLOP counter sees them, on the meta device (no arithmetic is done)."""
    import torch

    model = meta_model(config).eval()
    height, width = as_pair(config["vision_cfg"].get("image_size", 224))
    context = config["text_cfg"].get("context_length", CONTEXT_LENGTH)
    return Macs(
        image=_measure(model.encode_image, torch.empty(1, 3, height, width, device="meta")),
        text=_measure(model.encode_text, torch.zeros(1, context, dtype=torch.long, device="meta")),
    )


def transformer_macs(tokens: int, width: int, layers: int, mlp_width: int) -> int:
    """MACs of `layers` pre-norm blocks over a sequence of `tokens`.

    A block has four projections of `width` x `width` (Q, K, V, out), two products of attention (scores and
    values, each tokens^2 x width over all heads together), and two MLP matrices of `width` x `mlp_width`.
    """
    projections = 4 * tokens * width**2
    attention = 2 * tokens**2 * width
    mlp = 2 * tokens * width * mlp_width
    return layers * (projections + attention + mlp)


def _vit(vision: dict[str, Any], embed_dim: int) -> int:
    side, width = vision.get("patch_size", 16), vision.get("width", 768)
    rows, columns = (pixels // side for pixels in as_pair(vision.get("image_size", 224)))
    patches = rows * columns
    patch_embedding = patches * 3 * side**2 * width
    blocks = transformer_macs(
        patches + 1, width, vision.get("layers", 12), int(width * vision.get("mlp_ratio", 4.0))
    )
    return patch_embedding + blocks + width * embed_dim


def _text_transformer(text: dict[str, Any], embed_dim: int) -> int:
    width = text.get("width", 512)
    tokens = text.get("context_length", CONTEXT_LENGTH) + bool(text.get("embed_cls", False))
    blocks = transformer_macs(tokens, width, text.get("layers", 12), int(width * text.get("mlp_ratio", 4.0)))
    projection = 0 if text.get("proj_type", "linear") == "none" else width * embed_dim
    return blocks + projection


def _measure(forward: Any, sample: Any) -> int:
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    # The counter has no formula for some fused kernels (the CPU's flash attention; nn.MultiheadAttention's
    # fast path, which needs gradients to be off), so attention is taken apart into plain products.
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        forward(sample)
    return counter.get_total_flops() // 2
