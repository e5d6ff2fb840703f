"""embed, official_slice and random."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ray_compt.growth import grow
from tests.growth.tiny import build, largest_difference, tiny, trained


def _fresh(config: dict, seed: int) -> dict[str, Tensor]:
    """open_clip's own initialisation after seeding torch: the student of the released code."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build(config).double().state_dict()


def _released(source: dict[str, Tensor], student: dict[str, Tensor], doubled: bool) -> dict[str, Tensor]:
    """The published behaviour, element by element and without slices."""
    student = {key: value.clone() for key, value in student.items()}
    for key, value in source.items():
        names = [key]
        if doubled and "visual.transformer" in key:
            head, number, tail = key.split(".", 4)[:3], int(key.split(".")[3]), key.split(".", 4)[4]
            names = [".".join([*head, str(2 * number + i), tail]) for i in (0, 1)]
        for name in names:
            for place in np.ndindex(*value.shape):
                student[name].numpy()[place] = value.numpy()[place]
    return student


@pytest.mark.parametrize("layers, doubled", [((1, 1), False), ((2, 1), True), ((3, 2), False)])
def test_official_slice_is_the_released_behaviour(layers: tuple[int, int], doubled: bool) -> None:
    source, target = tiny(8, 8, layers=(1, 1), embed_dim=4), tiny(16, 16, layers=layers, embed_dim=4)
    state = trained(source).state_dict()
    grown = grow(state, source, target, "official_slice", seed=5)
    expected = _released(state, _fresh(target, 5), doubled)
    assert grown.keys() == expected.keys()
    assert all(torch.equal(grown[key], expected[key]) for key in expected)


def test_official_slice_has_the_published_fault() -> None:
    """With twice the width the student's V is random and its K starts with the source's V."""
    source, target = tiny(8, 8), tiny(16, 16)
    state = trained(source).state_dict()
    key = "transformer.resblocks.1.attn.in_proj_weight"
    query, keys, values = state[key].chunk(3)
    wide = grow(state, source, target, "official_slice", seed=5)[key]
    fresh = _fresh(target, 5)[key]
    assert torch.equal(wide[:16, :8], torch.cat([query, keys]))
    assert torch.equal(wide[16:24, :8], values)
    assert torch.equal(wide[24:], fresh[24:])


def test_official_slice_copies_the_overlap_of_a_smaller_embedding() -> None:
    source, target = tiny(8, 8, embed_dim=12), tiny(16, 16, embed_dim=6)
    state = trained(source).state_dict()
    grown = grow(state, source, target, "official_slice")
    assert torch.equal(grown["visual.proj"][:8], state["visual.proj"][:, :6])


def test_embed_pastes_each_tensor_into_a_fresh_one() -> None:
    source, target = tiny(16, 16, layers=(2, 2)), tiny(32, 24, layers=(3, 2), embed_dim=20)
    state = trained(source).state_dict()
    grown, fresh = grow(state, source, target, "embed", seed=5), _fresh(target, 5)
    for key, origin in (("visual.transformer.resblocks.1.", 0), ("visual.transformer.resblocks.2.", 1)):
        old, name = f"visual.transformer.resblocks.{origin}.", "mlp.c_proj.weight"
        assert torch.equal(grown[key + name][:16, :64], state[old + name])
        assert torch.equal(grown[key + name][16:], fresh[key + name][16:])
    assert torch.equal(grown["visual.proj"][:16, :12], state["visual.proj"])
    assert torch.equal(grown["ln_final.weight"], torch.cat([state["ln_final.weight"], torch.ones(8)]))
    assert torch.equal(grown["logit_scale"], fresh["logit_scale"])


def test_embed_is_a_copy_at_equal_size() -> None:
    source = tiny(16, 16)
    model = trained(source)
    assert largest_difference(model, build(source, grow(model.state_dict(), source, source, "embed"))) == 0


def test_random_is_open_clips_initialisation() -> None:
    source, target = tiny(), tiny(24, 8, embed_dim=5, vision_cfg={"patch_size": 4})
    state = {key: value.float() for key, value in trained(source).state_dict().items()}
    grown, fresh = grow(state, source, target, "random", seed=2), _fresh(target, 2)
    assert grown.keys() == fresh.keys()
    assert all(torch.equal(grown[key], fresh[key].float()) for key in fresh)
    assert not torch.equal(grown["visual.proj"], grow(state, source, target, "random", seed=3)["visual.proj"])


@pytest.mark.parametrize("operator", ["embed", "official_slice", "random"])
def test_a_temperature_of_one_dimension_keeps_it(operator: str) -> None:
    source, target = tiny(), tiny(32, 24)
    state = trained(source).state_dict() | {"logit_scale": torch.tensor([3.0]).double()}
    assert grow(state, source, target, operator)["logit_scale"].shape == (1,)
