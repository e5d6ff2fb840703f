from __future__ import annotations

import pytest

from ray_compt.errors import UserError
from ray_compt.models import model_config


def test_good_inline_configuration_is_taken_as_it_is(small):
    assert model_config(small()) == small()


def test_image_size_of_the_data_wins(small):
    assert model_config(small(), 64)["vision_cfg"]["image_size"] == 64
    assert model_config("T", 32)["vision_cfg"]["image_size"] == 32
    assert model_config("convnext_tiny", 64)["vision_cfg"]["image_size"] == 64


def test_only_the_size_that_is_used_must_fit_the_patches(small):
    config = small(vision__patch_size=12)
    assert model_config(config, 36)["vision_cfg"]["image_size"] == 36
    with pytest.raises(UserError, match="image_size 32 is not a multiple of patch_size, 12"):
        model_config(config)


@pytest.mark.parametrize(
    "changes, says, mends",
    [
        ({"vision__widht": 64}, "unknown key 'widht'", "'width'"),
        ({"text__head": 2}, "unknown key 'head'", "'heads'"),
        ({"embed_dims": 3}, "unknown key 'embed_dims'", "'embed_dim'"),
        ({"vision__width": "48"}, "width cannot be '48'", "correct"),
        ({"vision__layers": 2.5}, "layers cannot be 2.5", "correct"),
        ({"vision__width": None}, "width cannot be None", "leave the key out"),
        ({"text__layers": 0}, "layers 0 is not positive", "above 0"),
        ({"embed_dim": -1}, "embed_dim -1 is not positive", "above 0"),
        ({"vision__width": 50}, "width 50 is not a multiple of head_width 16", "head_width to one of"),
        ({"text__heads": 5}, "text width 32 is not a multiple of heads 5", "width / 64"),
        ({"vision__image_size": 30}, "image_size 30 is not a multiple of patch_size, 8", "24 or 32"),
        ({"vision_cfg": 3}, "vision_cfg cannot be 3", "correct"),
        ({"vision__timm_model_name": "swin_tiny_patch4_window7_225"}, "timm knows no model", "window7_224"),
    ],
)
def test_bad_inline_configuration(small, changes, says, mends):
    with pytest.raises(UserError) as caught:
        model_config(small(**changes))
    assert says in caught.value.message
    assert mends in caught.value.mend
    assert "ViT-" in caught.value.where or "swin" in caught.value.where


@pytest.mark.parametrize("key", ["embed_dim", "vision_cfg", "text_cfg"])
def test_missing_section(small, key):
    config = small()
    del config[key]
    with pytest.raises(UserError, match=f"{key} is missing"):
        model_config(config)


def test_default_text_heads_are_open_clips(small):
    config = small(text__width=36)
    del config["text_cfg"]["heads"]
    with pytest.raises(UserError, match="text width 36 is not a multiple of heads 8"):
        model_config(config)


@pytest.mark.parametrize(
    "model, size, mend",
    [
        ("T", 225, "224 or 240"),
        ("S", 8, "set image_size to 16"),
        ("RN50", 100, "96 or 128"),
        ("swin_base_patch4_window7_224", 96, "data.image_size to 224"),
    ],
)
def test_picture_size_that_the_tower_cannot_take(model, size, mend):
    with pytest.raises(UserError, match=str(size)) as caught:
        model_config(model, size)
    assert mend in caught.value.mend
