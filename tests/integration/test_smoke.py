"""`compt train --smoke`: every stage at its real size for two steps, leaving only its records."""

from __future__ import annotations

from pathlib import Path

from tests.integration.harness import compt, ledger, tiny_chain, tiny_model


def test_every_part_of_every_stage_is_rehearsed_without_the_data(tmp_path: Path) -> None:
    stages = [
        {"model": tiny_model(16), "epochs": 100, "name": "a"},
        {"model": tiny_model(32), "epochs": 50, "name": "b", "distill": {"weight": 1.0}},
    ]
    data = {
        "train": "/nowhere/{000..287}.tar",
        "val": "/nowhere/val.tar",
        "captions_per_image": 3,
        "lanes": 8,
    }
    train = {"global_batch": 1024, "precision": "bf16", "zero_stage": 1, "warmup_steps": 8000}
    chain = tiny_chain(
        tmp_path, stages=stages, data=data, train=train, workers={"min": 8, "gpus": 1, "cpus": 8}
    )
    result = compt("train", chain, "--run-dir", tmp_path / "run", "--smoke")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "made-up samples stand in" in result.stdout
    assert "smoke test passed: 2 stages" in result.stdout
    assert not (tmp_path / "run").exists()
    entries = ledger(tmp_path / "run-smoke")["stages"]
    assert [(entry["state"], entry["steps"]) for entry in entries] == [("done", 2), ("done", 2)]
    assert all("image_to_text_r1" in entry["metrics"] for entry in entries)
    assert not list((tmp_path / "run-smoke").rglob("*.safetensors"))
