"""The description names every parameter of open_clip's CLIPs once, with the right spaces on the right axes."""

from __future__ import annotations

from typing import Any

import open_clip
import pytest
import torch

from ray_compt.growth import CannotGrow
from ray_compt.growth.clip import describe, fuse_heads, split_heads
from ray_compt.growth.clip_config import parameter_shapes, read_config
from ray_compt.growth.pairs import check_supported
from ray_compt.growth.spaces import EMBEDDING, LayerScale, Norm, Weight
from tests.growth.tiny import tiny, trained

SHIPPED = ["ViT-B-16", "ViT-L-16", "ViT-M-16-alt", "ViT-H-14-CLIPA-336", "ViT-bigG-14", "ViT-L-14-336"]
OWN: dict[str, dict[str, Any]] = {
    "layer scale": tiny(vision_cfg={"ls_init_value": 0.1}),
    "nested text tower": tiny(custom_text=True, text_cfg={"embed_cls": True, "proj_bias": True}),
    "no text projection": tiny(text=8, embed_dim=8, text_cfg={"proj_type": "none"}),
    "logit bias": tiny(init_logit_bias=-10.0),
}


@pytest.mark.parametrize("name", [*SHIPPED, *OWN])
def test_every_parameter_is_described_once(name: str) -> None:
    raw = OWN.get(name) or open_clip.get_model_config(name)
    config = read_config(raw)
    check_supported(config, "source")
    expected = {key: torch.empty(shape, device="meta") for key, shape in parameter_shapes(raw).items()}
    expected = {key: value.shape for key, value in split_heads(expected).items()}
    network = describe(config)
    found = list(network.scalars)
    for tower in network.towers:
        spaces = {**tower.spaces, EMBEDDING: network.embedding}
        for stack in tower.stacks:
            for layer in range(stack.layers):
                for part in stack.parts:
                    found += [stack.key(layer, tensor) for tensor in part.tensors]
                    shape = expected[found[-1]]
                    if isinstance(part, Weight):
                        assert shape[part.write_axis] == spaces[part.writes].size
                        assert part.reads is None or shape[part.read_axis] == spaces[part.reads].size
                    elif isinstance(part, Norm):
                        assert shape == (spaces[part.reads].size,) == (spaces[part.writes].size,)
                    else:
                        assert isinstance(part, LayerScale)
                        assert shape == (spaces[part.space].size,)
    assert sorted(found) == sorted(expected)


def test_heads_have_open_clips_width() -> None:
    """open_clip rounds the number of heads down: width 96 with head_width 64 is one head of 96."""
    heads = describe(read_config(tiny(96, vision_cfg={"head_width": 64}))).towers[0].spaces["heads"]
    assert (heads.size, heads.group) == (96, 96)


def test_fusing_undoes_splitting() -> None:
    state = trained(tiny()).state_dict()
    split = split_heads(state)
    assert not any("in_proj" in key for key in split)
    again = fuse_heads(split)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)
    assert not split


def test_an_architecture_without_a_description_is_refused() -> None:
    with pytest.raises(CannotGrow, match="timm image tower"):
        check_supported(read_config(open_clip.get_model_config("ViT-B-16-SigLIP")), "target")
