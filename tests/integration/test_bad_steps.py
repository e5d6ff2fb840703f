"""Steps that are not finite, through Ray Train: back once where that helps, else the end with advice."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.torch import save_file

from ray_compt.chain import train_chain
from ray_compt.config import load_chain
from ray_compt.errors import TrainingError
from ray_compt.models import build_model
from tests.integration.harness import TIMEOUT_S, tiny_chain, tiny_model, weights

STAGES = [
    {"model": tiny_model(16), "epochs": 0.1, "name": "a"},
    {"model": tiny_model(32), "epochs": 0.4, "name": "b", "distill": {"weight": 0.0}},
]


def _write(file: Path, weights: dict) -> None:
    part = file.with_suffix(".part")
    save_file(weights, part)
    os.replace(part, file)


def _mend_when_gone_back(stage: Path, weights: dict) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not (stage / "bad_steps.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    _write(stage / "initial" / "grown.safetensors", weights)


def test_a_fault_that_passes_is_mended_by_going_back(own_ray: str, tmp_path: Path) -> None:
    """The second stage finds a broken weight where its grown ones should be; the next look finds it whole."""
    file = tiny_chain(
        tmp_path,
        stages=STAGES,
        workers={"min": 2, "max_failures": 0},
        train={"checkpoint_every": 2, "max_bad_steps": 3},
        evaluate={"after_growth": False},
    )
    stage = tmp_path / "run" / "02-b"
    (stage / "initial").mkdir(parents=True)
    whole = build_model(tiny_model(32), 0).state_dict()
    broken = {**whole, "visual.ln_post.weight": whole["visual.ln_post.weight"] * float("nan")}
    _write(stage / "initial" / "grown.safetensors", broken)
    mender = threading.Thread(target=_mend_when_gone_back, args=(stage, whole))
    mender.start()
    output = io.StringIO()
    ledger = train_chain(load_chain(file), str(tmp_path / "run"), console=Console(file=output, width=200))
    mender.join()
    assert [entry["state"] for entry in ledger["stages"]] == ["done", "done"]
    said = output.getvalue()
    assert "b: step 1 is skipped" in said
    assert "b: the steps 1 to 3 were not finite: back to the last checkpoint, once" in said
    assert all(tensor.isfinite().all() for tensor in weights(stage).values())
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    assert not any(line.get("skipped") for line in lines)
    assert not (stage / "bad_steps.json").exists()


def test_settings_that_overflow_stop_the_stage_with_advice(own_ray: str, tmp_path: Path) -> None:
    """The first step makes the weights so large that every later loss is not finite."""
    train = {"lr": 1e30, "warmup_steps": 0, "checkpoint_every": 2, "max_bad_steps": 3}
    file = tiny_chain(tmp_path, stages=STAGES[1:], workers={"min": 2, "max_failures": 0}, train=train)
    output = io.StringIO()
    with pytest.raises(TrainingError) as caught:
        train_chain(load_chain(file), str(tmp_path / "run"), console=Console(file=output, width=200))
    assert "not finite in the steps 2 to 4, again" in caught.value.message
    assert "train.lr" in caught.value.mend
    assert "back to the last checkpoint, once" in output.getvalue()
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "01-b" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [(line["step"], line["skipped"], line["skipped_steps"]) for line in lines[:4]] == [
        (1, 0, 0),
        (2, 1, 1),
        (3, 1, 2),
        (4, 1, 3),
    ]
    assert lines[1]["loss"] is None
