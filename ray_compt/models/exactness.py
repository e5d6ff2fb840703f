"""Refusing models whose training depends on chance or on how a batch is divided.

A stage promises the same weights for any number of workers, any micro-batch and any restart. Dropout draws
from generators that those change; batch normalisation mixes the samples that happen to run together, and keeps
statistics that are no parameters. open_clip and timm build such layers only where the configuration, or the
architecture's default, asks for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_compt.errors import UserError
from ray_compt.models.build import meta_model

if TYPE_CHECKING:
    from torch import nn

# Where layers of torch, timm and open_clip keep the probability with which they drop something.
PROBABILITIES = ("p", "prob", "drop_prob", "drop_rate", "dropout", "dropout_p")


def check_exact(config: dict[str, Any], where: str | None = None) -> None:
    """Check that a model's training is a function of its weights and the samples alone.

    Args:
        config: open_clip's configuration.
        where: the stage, for the message.

    Raises:
        UserError: a layer that drops something by chance, batch normalisation, or a buffer that training would
            have to keep and that checkpoints, which hold parameters, do not.
    """
    check_module(meta_model(config), config, where)


def check_module(model: nn.Module, config: dict[str, Any], where: str | None = None) -> None:
    """The same for a model that is built already, from `config`."""
    model.train()
    for name, module in model.named_modules():
        if module.training:
            _refuse_chance(name, module, config, where)
            _refuse_batch_statistics(name, module, where)
    _refuse_buffers(model, where)


def _refuse_chance(name: str, module: nn.Module, config: dict[str, Any], where: str | None) -> None:
    for attribute in PROBABILITIES:
        value = getattr(module, attribute, None)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0:
            raise UserError(
                f"{type(module).__name__} at {name} drops with probability {value:g} while training, "
                "so the result would depend on the number of workers and on restarts",
                where=where,
                mend=_mend(name, type(module).__name__, config),
            )


def _mend(name: str, kind: str, config: dict[str, Any]) -> str:
    vision = config["vision_cfg"]
    if not name.startswith("visual.") or (not vision.get("timm_model_name") and kind != "PatchDropout"):
        return "choose another tower"
    key = {"PatchDropout": "patch_dropout", "DropPath": "timm_drop_path"}.get(kind, "timm_drop")
    if key == "timm_drop" and not vision.get(key):
        # timm's own default, for which open_clip's configuration has no key.
        return "choose another image tower"
    return f"write the model in place (embed_dim, vision_cfg, text_cfg) with {key}: 0 in its vision_cfg"


def _refuse_batch_statistics(name: str, module: nn.Module, where: str | None) -> None:
    from torch.nn.modules.batchnorm import _BatchNorm

    if isinstance(module, _BatchNorm):
        raise UserError(
            f"{type(module).__name__} at {name} normalises by whatever samples run together on a worker, "
            "so the result would depend on the number of workers",
            where=where,
            mend="choose a tower with LayerNorm or GroupNorm, such as a ViT or a ConvNeXt",
        )


def _refuse_buffers(model: nn.Module, where: str | None) -> None:
    parameters = dict(model.named_parameters())
    # Tied weights have a second name.
    names = [name for name in model.state_dict(keep_vars=True) if name not in parameters]
    buffers = [name for name in names if name in dict(model.named_buffers())]
    if buffers:
        raise UserError(
            f"the model keeps state that is no parameter ({', '.join(buffers[:3])}), "
            "which checkpoints do not hold",
            where=where,
            mend="choose another tower",
        )
