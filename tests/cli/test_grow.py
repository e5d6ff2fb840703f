"""`compt grow`: a grown model opens in plain open_clip and computes what it grew from."""

from __future__ import annotations

import json

import open_clip
import pytest
import torch

from ray_compt.models import load_preprocess, load_state
from tests.cli.small import MEAN, STD, small_model


@pytest.fixture
def target(tmp_path):
    file = tmp_path / "target.json"
    file.write_text(json.dumps(small_model(64)))
    return file


def _features(model):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(3, 3, 16, 16, generator=generator)
    tokens = torch.randint(1, 400, (3, 12), generator=generator)
    with torch.no_grad():
        return model.encode_image(pictures, normalize=True), model.encode_text(tokens, normalize=True)


def _open(folder):
    return open_clip.create_model(f"local-dir:{folder}").eval()


def test_the_grown_model_opens_in_open_clip_with_the_same_features(compt, stage, target, tmp_path):
    source = stage(tmp_path / "source", 32)
    result = compt("grow", f"local-dir:{source}", "--to", target, "--out", tmp_path / "grown", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["lossless"] is True
    assert found["out"] == str(tmp_path / "grown")
    assert found["parameters"] > found["parameters_before"]
    before, after = _open(source), _open(tmp_path / "grown")
    assert after.visual.conv1.weight.shape[0] == 64
    for ours, theirs in zip(_features(after), _features(before), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    preprocess = load_preprocess(tmp_path / "grown")
    assert (tuple(preprocess["mean"]), tuple(preprocess["std"])) == (MEAN, STD)


def test_people_read_whether_it_is_lossless(compt, stage, target, tmp_path):
    source = stage(tmp_path / "source", 32)
    kept = compt("grow", source, "--to", target, "--out", tmp_path / "a")
    lost = compt("grow", source, "--to", target, "--out", tmp_path / "b", "--operator", "embed")
    assert kept.exit_code == lost.exit_code == 0
    assert ", lossless" in kept.stdout
    assert "not lossless" in lost.stdout
    assert f"local-dir:{tmp_path / 'a'}" in kept.stdout


def test_the_seed_decides(compt, stage, target, tmp_path):
    source = stage(tmp_path / "source", 32)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        compt("grow", source, "--to", target, "--out", tmp_path / name, "--seed", seed)
    a, b, c = (load_state(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


def test_a_bare_checkpoint_with_its_model_in_yaml(compt, stage, target, tmp_path):
    source = stage(tmp_path / "source", 32)
    (tmp_path / "small.yaml").write_text(json.dumps({"model_cfg": small_model(32)}, indent=1))
    file = source / "model.safetensors"
    result = compt(
        "grow", file, "--from", tmp_path / "small.yaml", "--to", target, "--out", tmp_path / "grown"
    )
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "grown" / "open_clip_config.json").is_file()


def _refused(result, *expected):
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    for text in expected:
        assert text in result.stderr


def test_a_model_is_never_overwritten(compt, stage, target, tmp_path):
    source = stage(tmp_path / "source", 32)
    before = (source / "model.safetensors").read_bytes()
    _refused(compt("grow", source, "--to", target, "--out", source), "already")
    assert (source / "model.safetensors").read_bytes() == before


def test_a_smaller_target_is_refused_and_nothing_written(compt, stage, tmp_path):
    (tmp_path / "target.json").write_text(json.dumps(small_model(16)))
    source = stage(tmp_path / "source", 32)
    _refused(compt("grow", source, "--to", tmp_path / "target.json", "--out", tmp_path / "grown"))
    assert not (tmp_path / "grown").exists()


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", None])
def test_a_target_file_without_a_configuration_is_refused(compt, stage, tmp_path, content):
    if content is not None:
        (tmp_path / "bad.json").write_text(content)
    source = stage(tmp_path / "source", 32)
    _refused(compt("grow", source, "--to", tmp_path / "bad.json", "--out", tmp_path / "grown"), "bad.json")


def test_weights_of_another_model_are_refused(compt, stage, target, tmp_path):
    file = stage(tmp_path / "source", 32) / "model.safetensors"
    _refused(compt("grow", file, "--from", target, "--to", target, "--out", tmp_path / "grown"), str(file))


def test_an_unknown_operator_is_refused(compt, stage, target, tmp_path):
    source = stage(tmp_path / "source", 32)
    _refused(compt("grow", source, "--to", target, "--out", tmp_path / "g", "--operator", "clown"), "clone")
