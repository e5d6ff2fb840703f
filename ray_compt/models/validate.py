"""What an inline model configuration may say, and the arithmetic that its numbers must obey.

The keys and their types are those of open_clip's own dataclasses, so a new open_clip brings its keys along.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, get_type_hints

from ray_compt.errors import UserError
from ray_compt.models.names import nearest

TOP_KEYS: dict[str, Any] = {
    "embed_dim": int,
    "vision_cfg": dict,
    "text_cfg": dict,
    "quick_gelu": bool,
    "custom_text": bool,
    "init_logit_scale": float,
    "init_logit_bias": float,
}
REQUIRED_KEYS = ("embed_dim", "vision_cfg", "text_cfg")
POSITIVE_KEYS = {
    "embed_dim",
    "layers",
    "width",
    "head_width",
    "heads",
    "mlp_ratio",
    "patch_size",
    "image_size",
    "context_length",
    "vocab_size",
}
# Far above any model that trains; a number beyond is a slip, and a billion layers would be built for days.
LARGEST = {
    "embed_dim": 1 << 16,
    "layers": 1000,
    "width": 1 << 16,
    "head_width": 1 << 16,
    "heads": 1 << 16,
    "mlp_ratio": 1000,
    "image_size": 8192,
    "context_length": 1 << 16,
    "vocab_size": 10_000_000,
}
RESNET_STRIDE = 32


def check_inline(config: dict[str, Any], where: str) -> None:
    """Check an inline configuration, all but its picture size (see `check_image_size`).

    Raises:
        UserError: as `check_config`.
    """
    check_config(config, TOP_KEYS, where)


def check_stored(config: dict[str, Any], where: str) -> None:
    """Check the configuration beside stored weights, which may come from strangers.

    Raises:
        UserError: as `check_config`.
    """
    check_config(config, TOP_KEYS | {"multimodal_cfg": dict}, where)
    check_image_size(config["vision_cfg"], where)


def check_config(config: dict[str, Any], top_keys: dict[str, Any], where: str) -> None:
    """Check everything about a configuration that needs no module.

    Raises:
        UserError: a missing or unknown key (with the nearest right one), a value of the wrong type or out of
            range, widths that heads do not divide, an unknown timm model.
    """
    from open_clip import CLIPTextCfg, CLIPVisionCfg

    for key in REQUIRED_KEYS:
        if key not in config:
            raise UserError(f"{key} is missing", where=where, mend="give embed_dim, vision_cfg and text_cfg")
    _check_keys(config, top_keys, where)
    vision, text = config["vision_cfg"], config["text_cfg"]
    _check_keys(vision, get_type_hints(CLIPVisionCfg), f"{where}, vision_cfg")
    _check_keys(text, get_type_hints(CLIPTextCfg), f"{where}, text_cfg")
    if vision.get("timm_model_name"):
        _check_timm_name(vision["timm_model_name"], f"{where}, vision_cfg")
    else:
        _check_heads(vision, f"{where}, vision_cfg")
    filled = {field.name: field.default for field in dataclasses.fields(CLIPTextCfg)} | text
    if filled["width"] % filled["heads"]:
        raise UserError(
            f"text width {filled['width']} is not a multiple of heads {filled['heads']}",
            where=f"{where}, text_cfg",
            mend="heads of width 64 are usual: set heads to width / 64",
        )


def check_image_size(vision: dict[str, Any], where: str | None) -> None:
    """Check that the image tower can take its `image_size`, and that plain open_clip could load it so.

    Raises:
        UserError: it cannot.
    """
    height, width = as_pair(vision.get("image_size", 224))
    if max(height, width) > LARGEST["image_size"]:
        raise UserError(
            f"image_size {max(height, width)} is above {LARGEST['image_size']}",
            where=where,
            mend=f"give an image_size of at most {LARGEST['image_size']}",
        )
    if vision.get("timm_model_name"):
        _check_timm_size(vision["timm_model_name"], height, width, where)
        return
    resnet = isinstance(vision.get("layers"), (list, tuple))
    step = RESNET_STRIDE if resnet else vision.get("patch_size", 16)
    if height % step or width % step:
        size = f"{height}" if height == width else f"{height} x {width}"
        unit = "the stride of the network" if resnet else "patch_size"
        below, above = height // step * step, (height // step + 1) * step
        raise UserError(
            f"image_size {size} is not a multiple of {unit}, {step}",
            where=where,
            mend=f"set image_size to {f'{below} or ' if below else ''}{above}"
            + ("" if resnet else ", or choose another patch_size"),
        )


def as_pair(value: int | list[int] | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a size that open_clip allows to be one number or two."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _check_keys(section: dict[str, Any], types: dict[str, Any], where: str) -> None:
    from pydantic import TypeAdapter, ValidationError

    for key, value in section.items():
        if key not in types:
            near = nearest(str(key), types)
            mend = f"did you mean {near!r}?" if near else f"known keys: {', '.join(sorted(types))}"
            raise UserError(f"unknown key {key!r}", where=where, mend=mend)
        try:
            # JSON's strict mode takes lists for tuples and integers for floats, but no text for numbers.
            TypeAdapter(types[key]).validate_json(json.dumps(value), strict=True)
            if isinstance(value, float) and not math.isfinite(value):
                raise TypeError("it is not finite")
        except (ValidationError, TypeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            raise UserError(
                f"{key} cannot be {_shortened(value)}: {reason[:1].lower()}{reason[1:]}",
                where=where,
                mend="correct the value, or leave the key out for open_clip's default",
            ) from None
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if key in POSITIVE_KEYS and any(number <= 0 for number in numbers):
            raise UserError(f"{key} {value} is not positive", where=where, mend=f"give a {key} above 0")
        if any(number > LARGEST.get(key, number) for number in numbers if key in LARGEST):
            raise UserError(
                f"{key} {_shortened(value)} is above {LARGEST[key]}",
                where=where,
                mend=f"write {LARGEST[key]} or less",
            )


def _shortened(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:36]} ..."


def _check_heads(vision: dict[str, Any], where: str) -> None:
    if isinstance(vision.get("layers"), (list, tuple)):
        return
    width, head_width = vision.get("width", 768), vision.get("head_width", 64)
    if width % head_width:
        divisors = [size for size in range(8, min(width, 128) + 1) if width % size == 0]
        raise UserError(
            f"width {width} is not a multiple of head_width {head_width}",
            where=where,
            mend=f"set head_width to one of {divisors}" if divisors else "choose another width",
        )


def _check_timm_name(name: str, where: str) -> None:
    import timm

    if not timm.is_model(name):
        near = nearest(name, timm.list_models())
        raise UserError(
            f"timm knows no model {name!r}",
            where=where,
            mend=f"did you mean {near!r}?" if near else "`timm.list_models()` names them all",
        )


def _check_timm_size(name: str, height: int, width: int, where: str | None) -> None:
    import timm

    pretrained = timm.get_pretrained_cfg(name)
    if pretrained is None or not pretrained.fixed_input_size:
        return
    _, rows, columns = pretrained.input_size
    if (height, width) != (rows, columns):
        # open_clip builds timm towers at timm's own size and has no key to say otherwise, so plain open_clip
        # could not open the exported model.
        raise UserError(
            f"{name} takes pictures of {rows} x {columns} only, not {height} x {width}",
            where=where,
            mend=f"set data.image_size to {rows}, or choose the timm model of your size",
        )
