"""`compt eval`: run folders, stage folders, names; its options and its refusals."""

from __future__ import annotations

import json

import pytest

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config import dump_chain, load_chain
from ray_compt.config.schema import DataConfig
from ray_compt.data import make_preprocess, open_index
from ray_compt.evaluate import evaluate_model
from ray_compt.models import open_pretrained
from ray_compt.models.checksums import file_digest
from ray_compt.storage import open_place
from tests.cli.small import MEAN, STD, write_shard
from tests.s3 import upload

DIGITS = "builtin:digits/val"


def _eval(compt, *arguments):
    result = compt("eval", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def run_folder(tmp_path, chain, chain_file, stage):
    """A run whose first stage is done; its second is not, and has no model yet."""
    return _write_run(tmp_path, chain, chain_file, stage)


def _write_run(tmp_path, chain, chain_file, stage):
    folder = tmp_path / "run"
    stage(folder / "01-small", 32)
    (folder / "chain.yaml").write_text(dump_chain(load_chain(chain_file(chain))))
    entries = [
        StageEntry(name="small", folder="01-small", model="ViT-32x1-8", epochs=4, state="done"),
        StageEntry(name="large", folder="02-large", model="ViT-64x1-8", epochs=1, state="running"),
    ]
    Ledger(open_place(folder) / "ledger.json", "tiny", entries, []).save()
    return folder


def test_a_run_folder_means_its_finished_stages_on_its_own_split(compt, run_folder, tmp_path):
    found = _eval(compt, run_folder)
    assert found["data"] == DIGITS
    assert [model["name"] for model in found["models"]] == ["01-small"]
    metrics = found["models"][0]["metrics"]
    assert metrics["samples"] > 300
    assert 0 <= metrics["zero_shot_top1"] <= 1
    # The same model by its folder, with the run's settings spelt out, gives the same numbers.
    alone = _eval(compt, run_folder / "01-small", "--data", DIGITS, "--template", "the digit {}")
    assert alone["models"][0]["metrics"] == pytest.approx(metrics, abs=0.02)
    assert not list(tmp_path.glob("cache/**/*.arrow"))


def test_a_run_folder_in_an_object_store_gives_the_same(compt, run_folder, s3):
    upload(s3, run_folder, "run")
    there, here = _eval(compt, "s3://bucket/run"), _eval(compt, run_folder)
    assert there["models"][0]["metrics"] == here["models"][0]["metrics"]
    assert there["models"][0]["path"] == "s3://bucket/run/01-small"
    alone = _eval(compt, "s3://bucket/run/01-small", "--data", DIGITS)
    assert alone["models"][0]["name"] == "s3://bucket/run/01-small"
    _refused(compt("eval", "s3://bucket/nothing", "--data", DIGITS), "s3://bucket/nothing")


def test_the_index_is_kept_in_the_run_folder_only_for_its_own_split(
    compt, chain, chain_file, stage, tmp_path
):
    chain["data"]["val"] = str(write_shard(tmp_path / "val.tar", 5))
    run = _write_run(tmp_path, chain, chain_file, stage)
    kept, cache = run / "index", tmp_path / "cache" / "ray_compt" / "index"
    other = write_shard(tmp_path / "other.tar", 3)
    assert _eval(compt, run, "--data", other)["models"][0]["metrics"]["samples"] == 3
    assert (kept.exists(), len(list(cache.glob("*.arrow")))) == (False, 1)
    assert _eval(compt, run)["models"][0]["metrics"]["samples"] == 5
    assert [len(list(folder.glob("*.arrow"))) for folder in (kept, cache)] == [1, 1]


def test_samples_that_cannot_be_used_are_told(compt, stage, tmp_path):
    shard = write_shard(tmp_path / "val.tar", 5)
    shard.write_bytes(shard.read_bytes()[:6000])
    result = compt("eval", stage(tmp_path / "model"), "--data", shard, "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("warning: ")
    assert "val.tar" in result.stderr
    assert json.loads(result.stdout)["models"][0]["metrics"]["samples"] < 5


def _expected(folder, *, size, mean, batch=256, templates=("a photo of a {}.",)):
    """The metrics by hand: what the options should come to."""
    model, config = open_pretrained(folder, size)
    data = DataConfig(train=DIGITS, image_size=size)
    preprocess = make_preprocess(data, config, seed=0, mean=mean, std=STD)
    index = open_index(DIGITS, data, "unused")
    return evaluate_model(model, config, index, preprocess, templates=templates, batch=batch)


def test_the_models_own_normalisation_and_picture_size_are_used(compt, stage, tmp_path):
    folder = stage(tmp_path / "model")
    found = _eval(compt, folder, "--data", DIGITS, "--device", "cpu")["models"][0]["metrics"]
    assert found == _expected(folder, size=16, mean=MEAN)
    assert found != _expected(folder, size=16, mean=(0.0, 0.0, 0.0))


def test_the_options_decide(compt, stage, tmp_path):
    folder = stage(tmp_path / "model")
    options = (
        "--image-size",
        "32",
        "--batch",
        "37",
        "--template",
        "{} x",
        "--template",
        "y {}",
        "--device",
        "cpu",
    )
    found = _eval(compt, folder, "--data", DIGITS, *options)["models"][0]["metrics"]
    assert found == _expected(folder, size=32, mean=MEAN, batch=37, templates=("{} x", "y {}"))
    assert found != _expected(folder, size=16, mean=MEAN, batch=37, templates=("{} x", "y {}"))


def test_a_device_that_does_not_exist_is_refused(compt, stage, tmp_path):
    _refused(compt("eval", stage(tmp_path / "model"), "--data", DIGITS, "--device", "gpu7"), "gpu7")


def test_people_read_a_table(compt, run_folder):
    result = compt("eval", run_folder)
    assert result.exit_code == 0, result.stderr
    title, header, row = result.stdout.splitlines()
    assert title.endswith(f"samples of {DIGITS}")
    assert "zero-shot" in header
    assert row.startswith("01-small")
    assert row.count("%") == 7


def test_the_core_suite_adds_probes_on_the_runs_own_splits(compt, run_folder):
    found = _eval(compt, run_folder, "--suite", "core")
    (model,) = found["models"]
    assert (found["suite"], found["seed"]) == ("core", 0)
    assert [task["name"] for task in model["tasks"]] == ["zero_shot", "retrieval", "linear_probe", "knn"]
    for task in model["tasks"]:
        assert task["data"]["name"] == DIGITS and task["data"]["pictures"] == 359
        for metric, (low, high) in task["intervals"].items():
            assert low <= task["metrics"][metric] <= high
    assert model["tasks"][2]["train"]["name"] == "builtin:digits/train"
    assert model["metrics"]["zero_shot_top1"] == model["tasks"][0]["metrics"]["top1"]
    # Random features tell digits apart; random words do not.
    assert model["metrics"]["linear_probe/top1"] > 0.4 > model["metrics"]["zero_shot_top1"]
    assert model["checksum"] == file_digest(run_folder / "01-small" / "model.safetensors")


def test_without_the_training_split_the_core_suite_has_no_probes_and_says_so(
    compt, chain, chain_file, stage, tmp_path
):
    chain["data"]["train"] = str(tmp_path / "gone" / "*.tar")
    run = _write_run(tmp_path, chain, chain_file, stage)
    result = compt("eval", run, "--suite", "core")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("warning: no linear probe and no k-NN")
    assert "linear_probe" not in result.stdout and "zero_shot" in result.stdout


def test_a_suite_file_needs_no_data_beside_it(compt, stage, tmp_path):
    file = tmp_path / "suite.yaml"
    tasks = [
        {"name": "noise", "kind": "zero_shot", "data": DIGITS, "corruptions": ["gaussian_noise"]},
        {"name": "few", "kind": "few_shot", "data": DIGITS, "train": DIGITS, "shots": [1, 2], "draws": 2},
    ]
    file.write_text(json.dumps({"name": "mine", "seed": 4, "tasks": tasks}))
    result = compt("eval", stage(tmp_path / "model"), "--suite", file)
    assert result.exit_code == 0, result.stderr
    title, header, clean, noisy, few = result.stdout.splitlines()
    assert (title, result.stderr) == ("suite mine", "")
    assert "95 % interval" in header and " to " in clean
    assert "noise, gaussian_noise" in noisy
    assert few.count("±") == 2


def test_a_name_without_weights_is_evaluated_untrained(compt):
    found = _eval(compt, "N", "--data", DIGITS, "--image-size", "16")["models"][0]
    assert found["name"] == "N"
    assert found["metrics"]["zero_shot_top1"] < 0.5


def _refused(result, *expected):
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    for text in expected:
        assert text in result.stderr


def test_a_run_without_a_finished_stage_is_refused(compt, tmp_path):
    entry = StageEntry(name="small", folder="01-small", model="m", epochs=4)
    Ledger(open_place(tmp_path) / "ledger.json", "tiny", [entry], []).save()
    _refused(compt("eval", tmp_path), "no stage of this run is done")


def test_a_ledger_that_cannot_be_read_is_refused(compt, tmp_path):
    (tmp_path / "ledger.json").write_text('{"schema": 1')
    _refused(compt("eval", tmp_path), "ledger")


def test_without_shards_it_says_what_to_give(compt, stage, tmp_path):
    _refused(compt("eval", stage(tmp_path / "model")), "--data")


def test_a_path_that_is_no_model_is_refused(compt, tmp_path):
    _refused(compt("eval", tmp_path, "--data", DIGITS), "open_clip_config.json")
    _refused(compt("eval", "ViT-Q-99", "--data", DIGITS), "ViT-Q-99")


def test_shards_that_are_missing_are_refused(compt, stage, tmp_path):
    _refused(compt("eval", stage(tmp_path / "model"), "--data", "/nowhere/0.tar"), "/nowhere/0.tar")
