"""The description of open_clip's CLIP: a ViT and a text transformer that meet in one embedding.

Describe another architecture in a file like this one; what may differ between source and target is
decided in `pairs.py`.
"""

from __future__ import annotations

from torch import Tensor, cat

from ray_compt.growth.clip_config import ClipConfig
from ray_compt.growth.spaces import (
    EMBEDDING,
    LayerScale,
    Network,
    Norm,
    Part,
    Space,
    Stack,
    Tower,
    Weight,
    linear,
)

_FUSED = ".attn.in_proj_"


def describe(config: ClipConfig) -> Network:
    """Spaces and parts of a CLIP, with Q, K and V separate (see `split_heads`)."""
    bias = ("logit_bias",) if config.init_logit_bias is not None else ()
    return Network(
        (_image(config), _text(config)), Space("embedding", config.embed_dim), ("logit_scale", *bias)
    )


def _image(config: ClipConfig) -> Tower:
    cfg = config.vision
    first = "stream" if cfg.no_ln_pre else "entry"
    entry: tuple[Part, ...] = (
        Weight("conv1.weight", first),
        Weight("class_embedding", first),
        Weight("positional_embedding", first, write_axis=1),
    )
    if not cfg.no_ln_pre:
        entry += (Norm("ln_pre", reads="entry", writes="stream"),)
    projection = Weight("proj", EMBEDDING, "normed", write_axis=1, read_axis=0)
    spaces = _spaces(cfg.width, config.image_head_width, cfg.mlp_ratio)
    if not cfg.no_ln_pre:
        spaces["entry"] = Space("entry", cfg.width)
    blocks = Stack("visual.transformer.resblocks.{}.", _block(cfg.ls_init_value), cfg.layers)
    end = (Norm("ln_post", reads="stream", writes="normed"), projection)
    return Tower("image", spaces, (Stack("visual.", entry), blocks, Stack("visual.", end)))


def _text(config: ClipConfig) -> Tower:
    cfg, prefix = config.text, config.text_prefix
    entry: tuple[Part, ...] = (
        Weight("token_embedding.weight", "stream", write_axis=1),
        Weight("positional_embedding", "stream", write_axis=1),
    )
    if cfg.embed_cls:
        entry += (Weight("cls_emb", "stream"),)
    end: tuple[Part, ...] = (Norm("ln_final", reads="stream", writes="normed"),)
    if cfg.proj_type != "none" and cfg.proj_bias:
        end += linear("text_projection", "normed", EMBEDDING)
    elif cfg.proj_type != "none":
        end += (Weight("text_projection", EMBEDDING, "normed", write_axis=1, read_axis=0),)
    spaces = _spaces(cfg.width, config.text_head_width, cfg.mlp_ratio)
    blocks = Stack(prefix + "transformer.resblocks.{}.", _block(cfg.ls_init_value), cfg.layers)
    return Tower("text", spaces, (Stack(prefix, entry), blocks, Stack(prefix, end)))


def _spaces(width: int, head_width: int, mlp_ratio: float) -> dict[str, Space]:
    return {
        "stream": Space("stream", width),
        "normed": Space("normed", width),
        "heads": Space("units", width, group=head_width),
        "neurons": Space("units", int(width * mlp_ratio)),
    }


def _block(ls_init_value: float | None) -> tuple[Part, ...]:
    parts: tuple[Part, ...] = (
        Norm("ln_1", reads="stream", writes="normed"),
        *(part for which in "qkv" for part in linear(f"attn.{which}", "normed", "heads")),
        *linear("attn.out_proj", "heads", "stream", ends_branch=True),
        Norm("ln_2", reads="stream", writes="normed"),
        *linear("mlp.c_fc", "normed", "neurons"),
        *linear("mlp.c_proj", "neurons", "stream", ends_branch=True),
    )
    if ls_init_value is None:
        return parts
    writers = {"ls_1": "attn.out_proj", "ls_2": "mlp.c_proj"}
    return parts + tuple(
        LayerScale(f"{name}.gamma", "stream", (f"{writer}.weight", f"{writer}.bias"))
        for name, writer in writers.items()
    )


def split_heads(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Replace each fused `attn.in_proj_weight` [3W, W] and bias [3W] by views `attn.q|k|v.weight|bias`."""
    split: dict[str, Tensor] = {}
    for key, value in state.items():
        block, fused, kind = key.partition(_FUSED)
        if fused:
            split |= {f"{block}.attn.{which}.{kind}": one for which, one in zip("qkv", value.chunk(3))}
        else:
            split[key] = value
    return split


def fuse_heads(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `split_heads`; empties `state` as it goes, so that memory is not held twice."""
    fused: dict[str, Tensor] = {}
    for key in list(state):
        block, query, kind = key.partition(".attn.q.")
        if query:
            fused[block + _FUSED + kind] = cat([state.pop(f"{block}.attn.{which}.{kind}") for which in "qkv"])
        elif key in state:
            fused[key] = state.pop(key)
    return fused
