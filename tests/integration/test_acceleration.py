"""The acceleration benchmark's own loop ends with the weights of `compt train`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.acceleration.cell import GLOBAL_BATCH, GRAD_CLIP, Cell
from benchmarks.acceleration.family import Family
from benchmarks.acceleration.training import Bench, train_cell
from ray_compt.config.schema import DataConfig
from tests.integration.harness import compt, largest_difference, ledger, tiny_chain

FAMILY = Family({"S": 16, "M": 32}, head=16, image_size=8, patch=4, layers=1, text_layers=1)


def test_two_stages_are_those_of_the_product(tmp_path: Path) -> None:
    data = {"train": "builtin:digits/train", "val": "builtin:digits/val", "class_templates": ["the digit {}"]}
    bench = Bench(FAMILY, DataConfig(**data, image_size=8), tmp_path / "bench")
    small = Cell("S", 2, 1e-3, seed=3)
    large = Cell("M", 1, 2e-3, seed=3, source=small, growth="lossless", weight=1.5)
    measured = [train_cell(bench, cell) for cell in (small, large)]

    warmup = measured[1]["steps"]
    stages = [
        {"model": FAMILY.model("S"), "epochs": 2, "name": "a"},
        {
            "model": FAMILY.model("M"),
            "epochs": 1,
            "name": "b",
            "lr": 2e-3,
            "growth": "lossless",
            "distill": {"weight": 1.5},
        },
    ]
    train = {
        "global_batch": GLOBAL_BATCH,
        "grad_clip": GRAD_CLIP,
        "lr": 1e-3,
        "warmup_steps": warmup,
        "zero_stage": 0,
    }
    order = {"lanes": bench.data.lanes, "window_batches": bench.data.window_batches}
    chain = tiny_chain(tmp_path, stages=stages, train=train, data=order)
    result = compt("train", chain, "--set", "seed=3", "--run-dir", tmp_path / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    for cell, found, entry in zip((small, large), measured, ledger(tmp_path / "run")["stages"]):
        assert largest_difference(bench.folder(cell), tmp_path / "run" / entry["folder"]) < 1e-5
        assert {key: found[key] for key in ("macs", "teacher_macs", "steps")} == {
            key: entry[key] for key in ("macs", "teacher_macs", "steps")
        }
        assert found["metrics"] == pytest.approx(entry["metrics"], abs=1e-5)
    assert measured[1]["grown"]["zero_shot_top1"] == measured[0]["metrics"]["zero_shot_top1"]
