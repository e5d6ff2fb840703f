from __future__ import annotations

import pytest

from ray_compt.models import FAMILY, count_macs, model_config
from ray_compt.models.macs import measured_macs, transformer_macs


@pytest.mark.parametrize("name", [*FAMILY, "open_clip:ViT-B-32", "open_clip:ViT-H-14"])
def test_analytic_macs_agree_with_torchs_flop_counter(name):
    config = model_config(name)
    counted, measured = count_macs(config), measured_macs(config)
    assert counted.image == pytest.approx(measured.image, rel=0.02)
    assert counted.text == pytest.approx(measured.text, rel=0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {"vision__mlp_ratio": 2.5, "text__mlp_ratio": 3.0},
        {"vision__image_size": [32, 48], "vision__patch_size": 16},
        {"vision__qk_norm": True, "text__scale_fc": True},
        {"text__embed_cls": True, "text__proj_bias": True, "custom_text": True},
        {"vision__pool_type": "avg", "quick_gelu": True},
    ],
)
def test_analytic_macs_follow_the_configuration(small, changes):
    config = model_config(small(**changes))
    counted, measured = count_macs(config), measured_macs(config)
    assert counted.image == pytest.approx(measured.image, rel=0.02)
    assert counted.text == pytest.approx(measured.text, rel=0.02)


@pytest.mark.parametrize(
    "name, image",
    # GMACs of the image tower as published (timm's tables; RN50 with CLIP's attention pool).
    [("RN50", 6.1), ("convnext_tiny", 4.5), ("swin_base_patch4_window7_224", 15.4), ("coca_ViT-B-32", 4.6)],
)
def test_other_towers_are_measured(name, image):
    macs = count_macs(model_config(name))
    assert macs.image / 1e9 == pytest.approx(image, rel=0.03)
    assert macs.text == pytest.approx(measured_macs(model_config(name)).text, rel=0.02)


def test_one_block_by_hand():
    # 2 tokens of width 3: 4 projections of 2*3*3, scores and values of 2*2*3 each, two MLP matrices of 2*3*5.
    assert transformer_macs(tokens=2, width=3, layers=1, mlp_width=5) == 4 * 18 + 2 * 12 + 2 * 30


def test_a_sample_has_one_picture_and_k_captions():
    macs = count_macs(model_config("T"))
    assert macs.forward(7) == macs.image + 7 * macs.text
