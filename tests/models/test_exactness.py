"""Models whose training would depend on chance, or on who runs which sample, are refused by name and key."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from ray_compt.errors import UserError
from ray_compt.models import check_exact, model_config
from ray_compt.models.build import meta_model
from ray_compt.models.exactness import check_module
from tests.models.conftest import SMALL

RESNET = {"layers": [1, 1, 1, 1], "width": 16, "image_size": 32, "head_width": 16}
SWIN = {
    "timm_model_name": "swin_tiny_patch4_window7_224",
    "image_size": 224,
    "timm_pool": "",
    "timm_proj": "linear",
}
CONVNEXT = {"timm_model_name": "convnext_atto", "image_size": 32, "timm_pool": "", "timm_proj": "linear"}


def _with(**vision: Any) -> dict[str, Any]:
    config = copy.deepcopy(SMALL)
    config["vision_cfg"] |= vision
    return config


def _image_tower(vision: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(SMALL), "vision_cfg": vision | changes}


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        _with(patch_dropout=0.0, attentional_pool=True),
        _image_tower(SWIN, timm_drop_path=0.0),
        _image_tower(CONVNEXT, timm_drop_path=0.0, timm_drop=0.0),
        model_config("ViT-T-16"),
    ],
    ids=["ViT", "attentional pooling", "Swin", "ConvNeXt", "family"],
)
def test_what_depends_on_the_samples_alone_is_taken(config: dict[str, Any]) -> None:
    check_exact(config)


@pytest.mark.parametrize(
    ("config", "says", "mend"),
    [
        (
            _with(patch_dropout=0.5),
            "PatchDropout at visual.patch_dropout drops with probability 0.5",
            "patch_dropout: 0",
        ),
        (_image_tower(SWIN), "DropPath at visual.trunk", "timm_drop_path: 0"),
        (_image_tower(CONVNEXT, timm_drop_path=0.2), "DropPath at visual.trunk.stages", "timm_drop_path: 0"),
        (_image_tower(CONVNEXT, timm_drop_path=0.0, timm_drop=0.1), "Dropout at visual.", "timm_drop: 0"),
        (_image_tower(RESNET), "BatchNorm2d at visual.bn1 normalises", "LayerNorm"),
        (_image_tower(CONVNEXT, timm_model_name="resnet18"), "BatchNorm", "LayerNorm"),
    ],
    ids=["patch dropout", "Swin's default", "drop path", "head dropout", "ResNet", "timm's ResNet"],
)
def test_what_does_not_is_refused_with_the_key_to_change(
    config: dict[str, Any], says: str, mend: str
) -> None:
    with pytest.raises(UserError) as caught:
        check_exact(config, where="stage small")
    assert says in caught.value.message
    assert mend in caught.value.mend
    assert caught.value.where == "stage small"


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (nn.MultiheadAttention(8, 2, dropout=0.1), "MultiheadAttention at transformer.extra drops"),
        (nn.Dropout(0.3), "Dropout at transformer.extra drops"),
        (nn.InstanceNorm1d(4, track_running_stats=True), "transformer.extra.running_mean"),
    ],
)
def test_what_a_later_open_clip_may_bring_is_found_too(layer: nn.Module, says: str) -> None:
    model = meta_model(SMALL)
    model.transformer.extra = layer
    with pytest.raises(UserError, match=says):
        check_module(model, SMALL)


def test_buffers_that_no_state_dict_holds_are_constants() -> None:
    model = meta_model(SMALL)
    model.visual.register_buffer("constant", torch.zeros(1), persistent=False)
    check_module(model, SMALL)
