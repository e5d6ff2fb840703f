from __future__ import annotations

import subprocess
import sys

import pytest

from ray_compt.errors import UserError
from ray_compt.models import FAMILY, count_parameters, model_config, model_name

# vision width, layers, text width, text heads, embedding: the paper's table.
PAPER = {
    "N": (192, 6, 256, 4, 512),
    "T": (192, 12, 256, 4, 512),
    "C": (256, 12, 320, 5, 512),
    "S": (384, 12, 384, 6, 512),
    "M": (512, 12, 448, 7, 512),
    "B": (768, 12, 512, 8, 512),
    "BL": (1024, 12, 768, 12, 768),
    "L": (1024, 24, 768, 12, 512),
}


@pytest.mark.parametrize("letter", PAPER)
def test_letter_and_full_name_mean_the_papers_size(letter):
    config = model_config(letter)
    vision, text = config["vision_cfg"], config["text_cfg"]
    found = (vision["width"], vision["layers"], text["width"], text["heads"], config["embed_dim"])
    assert found == PAPER[letter]
    assert (vision["patch_size"], vision["head_width"]) == (16, 64)
    assert (text["layers"], text["context_length"], text["vocab_size"]) == (12, 77, 49408)
    assert config == model_config(f"ViT-{letter}-16")
    assert model_name(letter) == model_name(f"ViT-{letter}-16") == f"ViT-{letter}-16"


def test_family_ascends_in_parameters():
    sizes = [count_parameters(model_config(letter)) for letter in FAMILY]
    assert sizes == sorted(set(sizes))


def test_prefix_names_open_clips_own_file():
    assert model_config("ViT-S-16")["embed_dim"] == 512
    assert model_config("open_clip:ViT-S-16")["embed_dim"] == 384
    assert model_name("open_clip:ViT-S-16") != model_name("ViT-S-16")


def test_any_open_clip_name_works_in_both_spellings():
    assert model_config("ViT-B-32")["vision_cfg"]["patch_size"] == 32
    assert model_config("ViT-B/32") == model_config("ViT-B-32")
    assert model_config("RN50")["vision_cfg"]["layers"] == [3, 4, 6, 3]


@pytest.mark.parametrize(
    "wrong, right",
    [
        ("ViT-T-61", "ViT-T-16"),
        ("vit-bl-16", "ViT-BL-16"),
        ("ViT-B-33", "ViT-B-32"),
        ("open_clip:RN5", "RN50"),
    ],
)
def test_unknown_name_suggests_the_nearest(wrong, right):
    with pytest.raises(UserError, match=wrong) as caught:
        model_config(wrong)
    assert right in caught.value.mend


def test_callers_may_change_what_they_get():
    model_config("S")["vision_cfg"]["width"] = 1
    model_config("RN50")["vision_cfg"]["width"] = 1
    assert model_config("S")["vision_cfg"]["width"] == 384
    assert model_config("RN50")["vision_cfg"]["width"] == 64


def test_inline_names_are_folder_names(small):
    assert model_name(small()) == "ViT-48x2-8"
    assert model_name({"vision_cfg": {"timm_model_name": "swin_tiny_patch4_window7_224"}}).startswith(
        "swin_tiny"
    )
    assert "/" not in model_name("ViT-B/32")


def test_names_and_plans_import_no_torch():
    code = "import sys, ray_compt.models, ray_compt.plan; sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
