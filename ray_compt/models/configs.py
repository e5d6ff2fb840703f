"""From the `model:` key of a chain file to open_clip's own configuration dictionary."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from ray_compt.config.schema import ModelChoice
from ray_compt.errors import UserError
from ray_compt.models.names import FAMILY, OPEN_CLIP_PREFIX, family_letter, family_names, model_name, nearest
from ray_compt.models.validate import check_image_size, check_inline


def model_config(choice: ModelChoice, image_size: int | None = None) -> dict[str, Any]:
    """open_clip's configuration of a model.

    A name is looked up in this order: the family (`S`, `ViT-S-16`), then open_clip's registry, where
    `open_clip:ViT-S-16` skips the family. A dictionary is checked and taken as it is.

    Args:
        choice: the `model:` key.
        image_size: side of the square input in pixels; overrides the configuration's own.

    Returns:
        A new dictionary with `embed_dim`, `vision_cfg`, `text_cfg` and whatever else open_clip's file says.

    Raises:
        UserError: unknown name or key, a value of the wrong kind, sizes that do not fit together.
    """
    where = f"model {model_name(choice)}"
    if isinstance(choice, dict):
        check_inline(choice, where=where)
        config = deepcopy(choice)
    else:
        config = _named_config(choice)
    if image_size is not None:
        return with_image_size(config, image_size, where=where)
    check_image_size(config["vision_cfg"], where=where)
    return config


def with_image_size(config: dict[str, Any], image_size: int, where: str | None = None) -> dict[str, Any]:
    """A copy of `config` whose image tower takes pictures of `image_size` x `image_size`.

    Raises:
        UserError: the tower cannot take that size.
    """
    changed = deepcopy(config)
    changed["vision_cfg"]["image_size"] = image_size
    check_image_size(changed["vision_cfg"], where=where)
    return changed


def open_clip_name(name: str) -> str | None:
    """The registry's spelling of an open_clip model name (`ViT-B/16` is `ViT-B-16`), or None if unknown."""
    import open_clip

    plain = name.removeprefix(OPEN_CLIP_PREFIX).replace("/", "-")
    return plain if plain in open_clip.list_models() else None


def _named_config(name: str) -> dict[str, Any]:
    letter = family_letter(name)
    if letter is not None:
        return FAMILY[letter].config()
    import open_clip

    registered = open_clip_name(name)
    if registered is None:
        raise _unknown(name, open_clip.list_models())
    return open_clip.get_model_config(registered)


def _unknown(name: str, registry: list[str]) -> UserError:
    if name.startswith(OPEN_CLIP_PREFIX):
        near = nearest(name.removeprefix(OPEN_CLIP_PREFIX), registry)
        suggestion = f"{OPEN_CLIP_PREFIX}{near}" if near else None
    else:
        suggestion = nearest(name, [*registry, *family_names(), *FAMILY])
    return UserError(
        f"unknown model {name!r}",
        mend=(f"did you mean {suggestion!r}? " if suggestion else "")
        + f"the family is {', '.join(family_names())}; `open_clip.list_models()` names all others, "
        "and an inline vision_cfg/text_cfg describes your own",
    )
