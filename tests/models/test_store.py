from __future__ import annotations

import json
import math
import os
import stat

import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from ray_compt.errors import UserError
from ray_compt.models import (
    build_model,
    load_config,
    load_metadata,
    load_preprocess,
    load_scale,
    load_state,
    make_tokenizer,
    save_model,
)

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
TEXTS = ["a scan of the digit seven", "a much longer caption than fourteen tokens " * 3]


def save(folder, config, seed=0, **keywords):
    model = build_model(config, seed).eval()
    save_model(folder, model.state_dict(), config, mean=MEAN, std=STD, **keywords)
    return model


@pytest.mark.parametrize("custom_text", [False, True])
def test_plain_open_clip_opens_an_export_with_the_same_features(tmp_path, small, custom_text):
    config = small() | ({"custom_text": True} if custom_text else {})
    model = save(tmp_path / "stage", config)
    loaded, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path / 'stage'}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path / 'stage'}")

    tokens = tokenizer(TEXTS)
    assert torch.equal(tokens, make_tokenizer(config)(TEXTS))
    images = torch.stack([preprocess(Image.new("RGB", (50, 40), color)) for color in ("red", "navy")])
    assert images.shape == (2, 3, 32, 32)
    red = (torch.tensor([1.0, 0.0, 0.0]) - torch.tensor(MEAN)) / torch.tensor(STD)
    assert torch.allclose(images[0, :, 5, 5], red)
    with torch.no_grad():
        assert torch.equal(loaded.eval().encode_image(images), model.encode_image(images))
        assert torch.equal(loaded.encode_text(tokens), model.encode_text(tokens))
    assert loaded.logit_scale.shape == ()
    assert loaded.logit_scale.item() == model.logit_scale.item()


def test_open_clips_own_name_for_weights_comes_first(tmp_path, small):
    """As on the Hugging Face hub, where model.safetensors beside it is laid out for transformers."""
    model = save(tmp_path, small())
    os.rename(tmp_path / "model.safetensors", tmp_path / "open_clip_model.safetensors")
    (tmp_path / "model.safetensors").write_bytes(b"of another library")
    state = load_state(tmp_path)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())


def test_the_scale_of_similarities_is_read_alone(tmp_path, small):
    model = build_model(small(), 0)
    torch.nn.init.constant_(model.logit_scale, 3.0)
    save_model(tmp_path, model.state_dict(), small(), mean=MEAN, std=STD)
    assert load_scale(tmp_path) == pytest.approx(math.exp(3.0))
    with pytest.raises(UserError, match="no model here"):
        load_scale(tmp_path / "absent")


def test_what_was_saved_comes_back(tmp_path, small):
    model = save(tmp_path, small(), metadata={"lineage": "ViT-T-16 128 epochs"})
    state = load_state(tmp_path)
    build_model(load_config(tmp_path), seed=1).load_state_dict(state)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert load_config(tmp_path) == small()
    assert load_preprocess(tmp_path)["mean"] == list(MEAN)
    assert load_preprocess(tmp_path)["size"] == 32
    header = load_metadata(tmp_path)
    assert header["lineage"] == "ViT-T-16 128 epochs"
    assert header["format"] == "ray_compt.model.v1"
    assert "ray_compt" in header


def test_only_the_two_files_are_left(tmp_path, small):
    save(tmp_path, small())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "open_clip_config.json"]
    document = json.loads((tmp_path / "open_clip_config.json").read_text())
    assert document.keys() == {"model_cfg", "preprocess_cfg"}
    assert load_file(tmp_path / "model.safetensors")["logit_scale"].shape == ()


def test_an_interrupted_save_leaves_the_old_model(tmp_path, small, monkeypatch):
    old = save(tmp_path, small())

    def interrupted(tensors, path, metadata):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("safetensors.torch.save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, small(), seed=1)
    assert torch.equal(load_state(tmp_path)["visual.proj"], old.visual.proj)
    assert len(list(tmp_path.iterdir())) == 2


def test_weights_of_another_model_are_not_saved(tmp_path, small):
    state = build_model(small(), seed=0).state_dict()
    with pytest.raises(UserError, match="of another shape") as caught:
        save_model(tmp_path / "new", state, small(vision__width=64), mean=MEAN, std=STD)
    assert "visual.class_embedding is [48], expected [64]" in caught.value.message
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_of_another_model_names_its_tensors(tmp_path, small):
    save(tmp_path, small(vision__layers=1))
    other = small(vision__width=64, vision__layers=2)
    (tmp_path / "open_clip_config.json").write_text(json.dumps({"model_cfg": other}))
    with pytest.raises(UserError) as caught:
        load_state(tmp_path)
    assert "12 missing: visual.transformer.resblocks.1" in caught.value.message
    assert "of another shape: " in caught.value.message
    assert caught.value.message.count("resblocks.1.") == 3
    assert "model.safetensors" in caught.value.where


def test_a_surplus_tensor_is_refused(tmp_path, small):
    state = build_model(small(), seed=0).state_dict() | {"distill.map": torch.zeros(2)}
    with pytest.raises(UserError, match=r"1 unexpected: distill\.map"):
        save_model(tmp_path, state, small(), mean=MEAN, std=STD)


@pytest.mark.parametrize("damage", ["cut", "text", "header"])
def test_a_damaged_file_is_a_users_error(tmp_path, small, damage):
    save(tmp_path, small())
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-100], "text": b"no tensors", "header": b"\xff" * 8 + whole[8:]}[damage])
    with pytest.raises(UserError, match="damaged"):
        load_state(tmp_path)
    with pytest.raises(UserError, match="damaged"):
        load_metadata(tmp_path)


def test_an_absent_or_damaged_configuration(tmp_path, small):
    with pytest.raises(UserError, match="no model here"):
        load_state(tmp_path / "nowhere")
    save(tmp_path, small())
    (tmp_path / "open_clip_config.json").write_text('{"model_cfg": ')
    with pytest.raises(UserError, match="damaged"):
        load_config(tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(UserError, match="no model_cfg"):
        load_config(tmp_path)
    (tmp_path / "open_clip_config.json").unlink()
    with pytest.raises(UserError, match="no model here"):
        load_config(tmp_path)


def test_a_place_that_cannot_be_written(tmp_path, small):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        save(tmp_path / "file" / "stage", small())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(tmp_path, small):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="cannot write"):
        save(tmp_path, small())
