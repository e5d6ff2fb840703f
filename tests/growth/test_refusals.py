"""Pairs that cannot grow, and what is not the source, get an error that says why and what to do."""

from __future__ import annotations

from typing import Any

import pytest

from ray_compt.errors import UserError
from ray_compt.growth import CannotGrow, explain, grow
from tests.growth.tiny import tiny, trained

SWIN = {"timm_model_name": "swin_tiny_patch4_window7_224", "image_size": 224}
PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "patch_size": (tiny(), tiny(32, vision_cfg={"patch_size": 4})),
    "image head width": (tiny(), tiny(32, vision_cfg={"head_width": 16})),
    "text head width": (tiny(), tiny(text=32, text_cfg={"heads": 2})),
    "quick_gelu": (tiny(), tiny(32, quick_gelu=True)),
    "vocab_size": (tiny(), tiny(32, text_cfg={"vocab_size": 50})),
    "context_length": (tiny(), tiny(32, text_cfg={"context_length": 9})),
    "pool_type": (tiny(), tiny(32, vision_cfg={"pool_type": "avg"})),
    "no_ln_pre": (tiny(), tiny(32, vision_cfg={"no_ln_pre": True})),
    "norm_kwargs": (tiny(), tiny(32, text_cfg={"norm_kwargs": {"eps": 1e-6}})),
    "proj_bias": (tiny(), tiny(32, text_cfg={"proj_bias": True})),
    "custom_text": (tiny(), tiny(32, custom_text=True)),
    "eos_id": (
        tiny(text_cfg={"pool_type": "eos", "eos_id": 1}),
        tiny(32, text_cfg={"pool_type": "eos", "eos_id": 2}),
    ),
    "without a": (
        tiny(text=12, head_width=4, text_cfg={"proj_type": "none"}),
        tiny(text=24, head_width=4, embed_dim=24, text_cfg={"proj_type": "none"}),
    ),
    "stream falls from 32 to 16": (tiny(32), tiny(16, 32)),
    "neurons falls": (tiny(vision_cfg={"mlp_ratio": 4}), tiny(vision_cfg={"mlp_ratio": 2})),
    "depth falls from 4 to 3": (tiny(layers=(2, 4)), tiny(layers=(2, 3))),
    "timm image tower 'swin_tiny": (tiny(), {**tiny(), "vision_cfg": SWIN}),
    "ResNet": (tiny(), {**tiny(), "vision_cfg": {"layers": [1, 1, 1, 1], "width": 16}}),
    "Hugging Face": (tiny(), {**tiny(), "text_cfg": {"hf_model_name": "roberta-base"}}),
    "CoCa": (tiny(), {**tiny(), "multimodal_cfg": {}}),
    "qk_norm": (tiny(vision_cfg={"qk_norm": True}), tiny(32, vision_cfg={"qk_norm": True})),
    "attentional pooler": (tiny(), tiny(32, vision_cfg={"attentional_pool": True})),
    "even number of new channels": (tiny(12, head_width=3, text=12), tiny(15, 15, head_width=3)),
}


@pytest.mark.parametrize("reason", PAIRS)
@pytest.mark.parametrize("operator", ["auto", "lossless"])
def test_a_pair_that_cannot_grow(reason: str, operator: str) -> None:
    source, target = PAIRS[reason]
    with pytest.raises(CannotGrow) as caught:
        explain(source, target, operator)
    assert reason in caught.value.message
    assert caught.value.mend
    with pytest.raises(CannotGrow, match="."):
        grow({}, source, target, operator)


@pytest.mark.parametrize("operator", ["embed", "official_slice"])
def test_the_other_operators_refuse_other_architectures_too(operator: str) -> None:
    with pytest.raises(CannotGrow, match="patch_size"):
        grow({}, *PAIRS["patch_size"], operator)


def test_random_weights_suit_any_pair() -> None:
    assert not explain(*PAIRS["patch_size"], "random").lossless
    assert grow({}, *PAIRS["patch_size"], "random")


def test_clone_refuses_uneven_ratios() -> None:
    with pytest.raises(CannotGrow, match="text tower go from 16 to 24") as caught:
        explain(tiny(), tiny(32, 24), "clone")
    assert "lossless" in str(caught.value.mend)


def test_an_unknown_operator_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'lossless'") as caught:
        explain(tiny(), tiny(), "losless")
    assert not isinstance(caught.value, CannotGrow)


def test_weights_of_another_model() -> None:
    state = trained(tiny(16, 16)).state_dict()
    with pytest.raises(UserError, match=r"visual.class_embedding is \[16\] instead of \[32\]") as caught:
        grow(state, tiny(32), tiny(64))
    assert not isinstance(caught.value, CannotGrow)
    del state["ln_final.bias"]
    with pytest.raises(UserError, match="ln_final.bias is missing"):
        grow(state, tiny(), tiny(32))
    with pytest.raises(UserError, match="resblocks.2.*belongs to no part"):
        grow(trained(tiny(layers=(3, 2))).state_dict(), tiny(), tiny(32))


def test_a_configuration_that_open_clip_does_not_know() -> None:
    with pytest.raises(UserError, match="unknown key 'widht' in vision_cfg"):
        explain(tiny(vision_cfg={"widht": 3}), tiny())
    with pytest.raises(UserError, match="lacks embed_dim"):
        explain({key: value for key, value in tiny().items() if key != "embed_dim"}, tiny())
    with pytest.raises(UserError, match="width 20 and 3 attention heads"):
        explain(tiny(20, head_width=6, text=12), tiny())


def test_an_error_crosses_processes() -> None:
    import pickle

    error = CannotGrow("message", where="place", mend="do")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(again, CannotGrow)
    assert str(again) == str(error)
