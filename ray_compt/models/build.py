"""From a configuration to a module, with weights or without."""

from __future__ import annotations

import json
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ray_compt.errors import UserError

if TYPE_CHECKING:
    import torch


def build_model(config: dict[str, Any], seed: int | None = None) -> torch.nn.Module:
    """A freshly initialised open_clip model: float32, on the CPU, in training mode.

    `logit_scale` has shape [1], because DeepSpeed cannot hold parameters without dimensions; open_clip's own
    loader takes either shape.

    Args:
        config: open_clip's configuration (see `model_config`).
        seed: seed of the initial weights; None draws one. The global random state is left as found.

    Returns:
        `ShortTextCLIP`, which is an `open_clip.CLIP`, or `CustomTextCLIP` / `CoCa` where the configuration asks
        for it as open_clip does.

    Raises:
        UserError: a text tower of the Hugging Face hub, or a tower with parameters without dimensions.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would reseed the accelerators too.
        torch.default_generator.manual_seed(torch.seed() if seed is None else seed)
        model = _construct(config)
    scalars = [name for name, parameter in model.named_parameters() if parameter.ndim == 0]
    if scalars:
        raise UserError(
            f"DeepSpeed cannot train parameters without dimensions: {', '.join(scalars[:3])}",
            mend="choose another tower",
        )
    return model


def meta_model(config: dict[str, Any]) -> torch.nn.Module:
    """The model without memory for its weights: shapes, parameter names and FLOP counts only.

    Raises:
        UserError: as `build_model`.
    """
    import torch

    with torch.device("meta"):
        return _construct(config)


def count_parameters(config: dict[str, Any]) -> int:
    """Number of parameters, both towers and the temperature; embeddings included."""
    return _count_parameters(json.dumps(config))


@lru_cache(maxsize=64)
def _count_parameters(config: str) -> int:
    # Asked for several times a stage (check, plan, ledger), and a module of shapes takes a while to make.
    return sum(parameter.numel() for parameter in meta_model(json.loads(config)).parameters())


def _construct(config: dict[str, Any]) -> torch.nn.Module:
    # open_clip.create_model only builds names and folders; the class is chosen below as it does.
    from open_clip.coca_model import CoCa
    from open_clip.model import CustomTextCLIP

    from ray_compt.models.short_text import ShortTextCLIP

    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    if arguments["text_cfg"].get("hf_model_name"):
        raise UserError(
            f"the text tower {arguments['text_cfg']['hf_model_name']!r} comes from the Hugging Face hub",
            mend="choose a model whose text tower is open_clip's own",
        )
    if arguments["vision_cfg"].get("timm_model_name"):
        # Weights come from the chain, never from a download.
        arguments["vision_cfg"] = arguments["vision_cfg"] | {"timm_model_pretrained": False}
    if not config.get("custom_text", False):
        kind = ShortTextCLIP
    else:
        kind = CoCa if "multimodal_cfg" in config else CustomTextCLIP
    try:
        return kind(**arguments, nonscalar_logit_scale=True)
    # What a configuration may say is open_clip's, timm's and torch's to know, and each refuses in its own way.
    except Exception as error:
        raise UserError(
            f"open_clip cannot build this model: {_reason(error)}",
            mend="correct the model's configuration; with -v the traceback shows which key was read last",
        ) from error


def _reason(error: Exception) -> str:
    """The first line of an exception; of a bare assertion, what it asserts."""
    first = next(iter(str(error).splitlines()), "")
    if first:
        return f"{type(error).__name__}: {first}"
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at `{frames[-1].line}`"
