"""explain says what grow does."""

from __future__ import annotations

import pytest
import torch

from ray_compt.growth import explain, grow
from tests.growth.tiny import build, tiny, trained


def test_operators_are_chosen_for_each_tower() -> None:
    growth = explain(tiny(16, 16), tiny(32, 24))
    assert growth.operators == {"image": "clone", "text": "lemon"}
    assert growth.lossless
    assert growth.notes == ["image: width 16 -> 32 by clone", "text: width 16 -> 24 by lemon"]
    assert str(growth) == "image clone, text lemon (lossless)"


def test_one_uneven_space_makes_a_tower_lemon() -> None:
    uneven = explain(tiny(vision_cfg={"mlp_ratio": 4}), tiny(32, vision_cfg={"mlp_ratio": 3}))
    assert uneven.operators == {"image": "lemon", "text": "clone"}
    assert "neurons 64 -> 96" in uneven.notes[0]


def test_equal_widths_and_more_layers_are_cloned() -> None:
    growth = explain(tiny(layers=(2, 2)), tiny(layers=(4, 2)), "clone")
    assert growth.operators == {"image": "clone", "text": "clone"}
    assert growth.notes[0] == "image: width 16 copied, layers 2 -> 4, the inserted ones start as the identity"


@pytest.mark.parametrize(
    "target, word",
    [(tiny(32, embed_dim=8), "principal subspace"), (tiny(32, image_size=24), "2x2 to 3x3 patches")],
)
def test_what_is_not_lossless_is_said(target: dict, word: str) -> None:
    growth = explain(tiny(), target)
    assert not growth.lossless
    assert word in growth.notes[-1]
    assert grow(trained(tiny()).state_dict(), tiny(), target)


@pytest.mark.parametrize("operator", ["embed", "official_slice", "random"])
def test_lossy_operators_say_so(operator: str) -> None:
    growth = explain(tiny(), tiny(32), operator)
    assert growth.operators == {"image": operator, "text": operator}
    assert not growth.lossless


@pytest.mark.parametrize("operator", ["lossless", "embed"])
def test_positions_are_interpolated_as_open_clip_does(operator: str) -> None:
    from open_clip.model import resize_pos_embed

    source, target = tiny(image_size=32), tiny(image_size=48)
    state = trained(source).state_dict()
    expected = dict(state)
    resize_pos_embed(expected, build(target))
    grown = grow(state, source, target, operator)
    assert torch.allclose(grown["visual.positional_embedding"], expected["visual.positional_embedding"])
    build(target, grown)
