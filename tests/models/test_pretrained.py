from __future__ import annotations

import logging
import pickle

import pytest
import torch

from ray_compt.errors import UserError
from ray_compt.models import build_model, open_pretrained, save_model

MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


@pytest.fixture
def stage(tmp_path, small):
    model = build_model(small(), seed=0)
    save_model(tmp_path / "01-small", model.state_dict(), small(), mean=MEAN, std=STD)
    return tmp_path / "01-small", model.eval()


def features(model, size=32):
    pictures = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model.encode_image(pictures)


def test_a_stages_folder(stage, small):
    folder, model = stage
    opened, config = open_pretrained(str(folder))
    assert config == small()
    assert not opened.training
    assert torch.equal(features(opened), features(model))
    assert opened.visual.preprocess_cfg["mean"] == list(MEAN)
    assert opened.visual.preprocess_cfg["std"] == list(STD)


def test_another_picture_size_interpolates_positions(stage):
    folder, model = stage
    opened, config = open_pretrained(folder, image_size=64)
    assert config["vision_cfg"]["image_size"] == 64
    assert opened.visual.positional_embedding.shape == (65, 48)
    assert torch.equal(opened.visual.positional_embedding[0], model.visual.positional_embedding[0])
    assert features(opened, size=64).shape == (2, 24)


@pytest.mark.parametrize("kind", ["safetensors", "pt", "wrapped"])
def test_a_checkpoint_file_with_its_model(stage, tmp_path, small, kind):
    folder, model = stage
    path = folder / "model.safetensors"
    if kind != "safetensors":
        path = tmp_path / "checkpoint.pt"
        state = {
            name: tensor.squeeze() if name == "logit_scale" else tensor
            for name, tensor in model.state_dict().items()
        }
        wrapped = {"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}, "epoch": 3}
        torch.save(state if kind == "pt" else wrapped, path)
    opened, config = open_pretrained(str(path), model=small())
    assert config == small()
    assert torch.equal(features(opened), features(model))


def test_a_checkpoint_file_without_its_model(stage):
    with pytest.raises(UserError, match="does not say which model") as caught:
        open_pretrained(stage[0] / "model.safetensors")
    assert "--from" in caught.value.mend


def test_a_checkpoint_of_another_model(stage, small):
    with pytest.raises(UserError, match="not this model's"):
        open_pretrained(stage[0] / "model.safetensors", model=small(vision__width=64))


class Malicious:
    def __reduce__(self):
        return (pytest.fail, ("code of a checkpoint was run",))


def test_code_in_a_checkpoint_is_not_run(tmp_path, small):
    path = tmp_path / "evil.pt"
    path.write_bytes(pickle.dumps({"visual.proj": Malicious()}, protocol=2))
    with pytest.raises(UserError, match="no checkpoint of tensors"):
        open_pretrained(path, model=small())
    torch.save({"visual.proj": Malicious()}, path)
    with pytest.raises(UserError, match="no checkpoint of tensors"):
        open_pretrained(path, model=small())


@pytest.mark.parametrize("content", [b"", b"hello", [1, 2], {"visual.proj": 3}])
def test_a_file_that_is_no_checkpoint(tmp_path, small, content):
    path = tmp_path / "other.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match="no checkpoint of tensors"):
        open_pretrained(path, model=small())


def test_a_bare_name_is_untrained_and_says_so(caplog):
    with caplog.at_level(logging.WARNING, logger="ray_compt"):
        model, config = open_pretrained("N", image_size=32)
    assert "untrained" in caplog.text
    assert config["vision_cfg"]["image_size"] == 32
    assert model.visual.preprocess_cfg["size"] == (32, 32)


@pytest.mark.parametrize(
    "ref, says",
    [
        ("runs/nowhere", "nothing to open"),
        ("nowhere/model.safetensors", "nothing to open"),
        ("ViT-B-32/no_such_tag", "no weights 'no_such_tag'"),
        ("ViT-T-17", "unknown model"),
        ("T/openai", "nothing to open"),
    ],
)
def test_nothing_of_that_name(ref, says, small):
    with pytest.raises(UserError, match=says):
        open_pretrained(ref, model=small())


def test_an_unknown_tag_lists_the_known_ones():
    with pytest.raises(UserError) as caught:
        open_pretrained("ViT-B-32/no_such_tag")
    assert "laion2b_s34b_b79k" in caught.value.mend


def test_a_tag_brings_its_activation_and_size(monkeypatch, small):
    asked = {}

    def create_model(name, **keywords):
        asked.update(name=name, **keywords)
        return build_model(small(), seed=0)

    monkeypatch.setattr("open_clip.create_model", create_model)
    _, config = open_pretrained("B/openai", image_size=240)
    assert config["quick_gelu"] is True
    assert config["vision_cfg"]["image_size"] == 240
    assert asked["name"] == "ViT-B-16"
    assert asked["force_quick_gelu"] is True
    assert asked["force_image_size"] == 240
    assert asked["nonscalar_logit_scale"] is True


def test_a_failed_download_is_a_users_error(monkeypatch):
    def create_model(name, **keywords):
        raise RuntimeError("Failed to download weights for tag 'openai': no route\ntraceback")

    monkeypatch.setattr("open_clip.create_model", create_model)
    with pytest.raises(UserError, match="no route") as caught:
        open_pretrained("ViT-B-16/openai")
    assert "traceback" not in str(caught.value)
