"""`compt finetune` on the digits: from a stage's folder to a classifier, on a Ray of its own."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from typer.testing import CliRunner

from ray_compt.cli.main import app
from ray_compt.config.schema import DataConfig
from ray_compt.data import decode_window, evaluation_windows, make_preprocess, normalise, open_index
from ray_compt.data.digits import CLASS_NAMES
from ray_compt.models import build_model, count_macs, load_config, load_state, save_model
from ray_compt.plan import format_count
from tests.integration.harness import compt, ledger, tiny_model

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
SETTINGS = ("train.lr=5e-3", "train.warmup_steps=5", "train.global_batch=64", "data.lanes=4")


def _top1(folder: Path) -> float:
    """By hand, with plain open_clip and the files that lie there."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    head, classes = load_file(folder / "head.safetensors"), json.loads((folder / "classes.json").read_text())
    data = DataConfig(train="builtin:digits/val", image_size=8)
    preprocess = make_preprocess(data, load_config(folder), seed=0)
    index = open_index(data.train, data, "unused")
    (window,) = evaluation_windows(index, 1000)
    batch = decode_window(index, preprocess, window)
    with torch.no_grad():
        embedding = model.eval().encode_image(normalise(batch.image, MEAN, STD), normalize=True)
    found = (embedding @ head["head.weight"].T + head["head.bias"]).argmax(dim=1)
    return sum(classes[row] == label for row, label in zip(found, batch.label)) / len(found)


def test_a_model_is_fine_tuned_and_the_same_command_again_finds_it_done(tmp_path: Path) -> None:
    config = tiny_model(32)
    before = build_model(config, seed=0).state_dict()
    save_model(tmp_path / "model", before, config, mean=MEAN, std=STD)
    run = tmp_path / "run"
    splits = ("--data", "builtin:digits/train", "--val", "builtin:digits/val", "--template", "the digit {}")
    command = ("finetune", tmp_path / "model", *splits, "--run-dir", run, "--epochs", "3")
    command += tuple(part for setting in SETTINGS for part in ("--set", setting))

    done = compt(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((run / "finetune.json").read_text())
    assert record["after"] > 0.6 > 0.3 > record["before"]
    assert f"{100 * record['before']:.1f} % before, {100 * record['after']:.1f} % after" in done.stdout
    result = run / "01-finetuned"
    image = count_macs(config).image
    trained = 3 * 64 * record["steps"] * (image + config["embed_dim"] * len(CLASS_NAMES))
    assert record["macs"] == trained + record["frozen_macs"] and record["frozen_macs"] > 0
    assert ledger(run)["stages"][0]["macs"] == record["macs"]
    last = json.loads((result / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["evaluation"] == {"top1": record["after"], "macs": record["macs"]}
    assert "fine-tuning of" in done.stdout and f"{format_count(record['macs'])}  " in done.stdout
    assert json.loads((result / "classes.json").read_text()) == list(CLASS_NAMES)
    assert abs(_top1(result) - record["after"]) < 0.005
    assert not (result / "initial").exists()
    after = load_state(result)
    moved = {name for name in before if not torch.equal(before[name].reshape(-1), after[name].reshape(-1))}
    assert moved and all(name.startswith("visual.") for name in moved), "the text tower must stay as it was"

    card = ModelCard((result / "README.md").read_text())
    assert card.data.eval_results[0].metric_value == record["after"]
    assert f"Fine-tuned from: `{tmp_path / 'model'}`" in card.text and "10 classes" in card.text

    # Neither needs Ray, nor another process.
    again = CliRunner().invoke(app, [str(part) for part in command])
    assert again.exit_code == 0, again.output
    assert json.loads((run / "finetune.json").read_text()) == record
    assert "fine-tuning of" in again.stdout
    refused = CliRunner().invoke(app, [*map(str, command), "--label-smoothing", "0.1"])
    assert refused.exit_code == 2
    assert "began with label_smoothing 0.0, not 0.1" in refused.stderr
