"""Which pairs of models can be grown, and why not.

A new limit of an operator or of the description is added here, with a message that says what to change.
"""

from __future__ import annotations

from collections.abc import Iterator

from ray_compt.errors import UserError
from ray_compt.growth.clip_config import ClipConfig, pair
from ray_compt.growth.spaces import Tower

_CUSTOM_BLOCK = ("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")
_SAME_VISION = ("pool_type", "final_ln_after_pool", "no_ln_pre", "act_kwargs", "norm_kwargs")
_SAME_TEXT = (
    "vocab_size",
    "context_length",
    "pool_type",
    "no_causal_mask",
    "embed_cls",
    "proj_type",
    "proj_bias",
    "act_kwargs",
    "norm_kwargs",
)
_RANDOM = "choose `growth: random` to start from random weights; feature space (distillation) still works"


class CannotGrow(UserError):
    """This pair of models has no growth in parameter space; a caller may fall back on random weights."""


def check_supported(config: ClipConfig, which: str) -> None:
    """Raise `CannotGrow` unless both towers are described in `clip.py`; `which` is source or target."""
    problem = next(_unsupported(config), None)
    if problem:
        raise CannotGrow(f"the {which} model {problem}, for which growth has no description", mend=_RANDOM)
    for name, width, heads in (
        ("vision_cfg", config.vision.width, config.image_heads),
        ("text_cfg", config.text.width, config.text.heads),
    ):
        if heads < 1 or width % heads:
            raise UserError(
                f"the {which} model's {name} has width {width} and {heads} attention heads",
                mend="make the width a multiple of the head width",
            )


def _unsupported(config: ClipConfig) -> Iterator[str]:
    vision, text = config.vision, config.text
    if config.coca:
        yield "is a CoCa model"
    if vision.timm_model_name:
        yield f"has the timm image tower {vision.timm_model_name!r}"
    if not isinstance(vision.layers, int):
        yield "has a ResNet image tower"
    if vision.attentional_pool:
        yield "has an attentional pooler (attentional_pool)"
    if text.hf_model_name:
        yield f"has the Hugging Face text tower {text.hf_model_name!r}"
    for cfg, name in ((vision, "vision_cfg"), (text, "text_cfg")):
        for key in _CUSTOM_BLOCK:
            if getattr(cfg, key):
                yield f"has {name}.{key}"
        if set(cfg.norm_kwargs or {}) - {"eps"}:
            yield f"has {name}.norm_kwargs {cfg.norm_kwargs}"


def check_pair(source: ClipConfig, target: ClipConfig) -> None:
    """Raise `CannotGrow` where the two differ in more than width, depth, image size and embedding."""
    difference = next(_differences(source, target), None)
    if difference:
        key, ours, theirs = difference
        raise CannotGrow(
            f"{key} differs: {ours} in the source, {theirs} in the target",
            mend=f"give both models the same {key}, or {_RANDOM}",
        )


def _differences(source: ClipConfig, target: ClipConfig) -> Iterator[tuple[str, object, object]]:
    values: list[tuple[str, object, object]] = [
        ("custom_text", source.custom_text, target.custom_text),
        ("quick_gelu", source.quick_gelu, target.quick_gelu),
        ("vision_cfg.patch_size", pair(source.vision.patch_size), pair(target.vision.patch_size)),
        ("image head width", source.image_head_width, target.image_head_width),
        ("text head width", source.text_head_width, target.text_head_width),
        *(
            (f"vision_cfg.{key}", getattr(source.vision, key), getattr(target.vision, key))
            for key in _SAME_VISION
        ),
        *((f"text_cfg.{key}", getattr(source.text, key), getattr(target.text, key)) for key in _SAME_TEXT),
    ]
    if source.text.pool_type == "eos":
        values.append(("text_cfg.eos_id", source.text.eos_id, target.text.eos_id))
    if source.text.embed_cls:
        values.append(("text_cfg.pad_id", source.text.pad_id, target.text.pad_id))
    if source.text.proj_type == "none":
        # The text tower's width is then the embedding itself.
        values.append(("text_cfg.width (without a projection)", source.text.width, target.text.width))
        values.append(("embed_dim (without a text projection)", source.embed_dim, target.embed_dim))
    return ((key, ours, theirs) for key, ours, theirs in values if ours != theirs)


def check_not_shrinking(source: Tower, target: Tower) -> None:
    """Raise `CannotGrow` where the target tower is narrower or shallower anywhere."""
    sizes = [
        (f"the width of its {name}", space.size, target.spaces[name].size)
        for name, space in source.spaces.items()
    ]
    sizes += [("its depth", ours.layers, theirs.layers) for ours, theirs in zip(source.stacks, target.stacks)]
    for what, ours, theirs in sizes:
        if theirs < ours:
            raise CannotGrow(
                f"the {source.name} tower would shrink: {what} falls from {ours} to {theirs}",
                mend="order the models so that each is at least as wide and deep as the one before",
            )
