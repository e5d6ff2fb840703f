"""Several teachers through the real program: an earlier stage and a model from outside, served and in the worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors import safe_open

from ray_compt.models import build_model, count_macs, load_config, save_model
from tests.integration.harness import largest_difference, tiny_chain, tiny_model

STEPS, BATCH = 4, 64


def _train(folder: Path, outside: Path, placement: str, workers: int) -> tuple[Path, dict[str, Any]]:
    from ray_compt.chain import train_chain
    from ray_compt.config import load_chain

    teachers = [{"model": "a", "weight": 3.0}, {"model": str(outside), "weight": 1.0}]
    distill = {"kind": "contrastive", "weight": 1.0, "teachers": teachers}
    stages = [
        {"model": tiny_model(16), "epochs": 0.2, "name": "a"},
        {"model": tiny_model(32), "epochs": 0.2, "name": "b", "distill": distill},
    ]
    name = f"{placement}-{workers}"
    file = tiny_chain(
        folder,
        stages=stages,
        name=name,
        workers={"min": workers, "cpus": 1},
        teacher={"placement": placement},
        train={"global_batch": BATCH, "checkpoint_every": 100},
    )
    run = folder / name
    ledger = train_chain(load_chain(file), str(run), console=Console(quiet=True))
    return run, ledger["stages"][1]


def test_two_teachers_teach_alike_wherever_they_run(own_ray: str, tmp_path: Path) -> None:
    """Served to two workers, and inside one: the same weights, and both teachers are paid for."""
    outside, config = tmp_path / "wise", tiny_model(48, embed_dim=24)
    save_model(
        outside, build_model(config, seed=5).state_dict(), config, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
    )
    served, entry = _train(tmp_path, outside, "actor", workers=2)
    inline, other = _train(tmp_path, outside, "inline", workers=1)
    assert (entry["state"], entry["teacher"], other["teacher"]) == ("done", "actor", "inline")
    assert largest_difference(served / "02-b", inline / "02-b") < 1e-5
    macs = [count_macs(load_config(path)) for path in (served / "01-a", outside)]
    assert entry["teacher_macs"] == STEPS * BATCH * sum(one.image + one.text for one in macs)
    lines = [json.loads(line) for line in (served / "02-b" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["distill_loss"] > 0 for line in lines if "loss" in line)
    with safe_open(served / "02-b" / "model.safetensors", framework="pt") as file:
        assert not [name for name in file.keys() if "maps" in name]  # noqa: SIM118 (it is no mapping)
