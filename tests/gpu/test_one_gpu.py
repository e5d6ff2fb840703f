"""A chain on one GPU: run these where there is one, `python -m pytest tests/gpu`; elsewhere they are skipped."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import mean
from typing import Any

import psutil
import pytest
import torch

from tests.faults.harness import TEACHER, WORKER, Driver
from tests.integration.harness import (
    command,
    compt,
    descendants,
    end,
    environment,
    largest_difference,
    ray_folder,
    tiny_chain,
    tiny_model,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that PyTorch can use")
STAGES = [
    {"model": tiny_model(16), "epochs": 1, "name": "small"},
    {"model": tiny_model(32, layers=2), "epochs": 1, "name": "large", "distill": {"weight": 1.0}},
]
LAST = "02-large"
# One GPU, which NCCL gives to one worker only: half of it for the worker, half for a service.
SHARED = {"workers": {"gpus": 0.5}, "teacher": {"placement": "actor", "gpus": 0.5}}
# Enough steps for a loss that falls, and for faults in its midst.
LONGER = [STAGES[0], {**STAGES[1], "epochs": 6}]


def train(folder: Path, name: str, *, stages: list[dict[str, Any]] = STAGES, **sections: Any) -> Path:
    """Train the chain to its end; returns its run folder."""
    folder = folder / name
    folder.mkdir()
    result = compt("train", tiny_chain(folder, stages=stages, **sections), "--run-dir", folder / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu")


@pytest.fixture(scope="module")
def on_cpu(place: Path) -> Path:
    return train(place, "cpu")


@pytest.fixture(scope="module")
def on_gpu(place: Path) -> Path:
    return train(place, "fp32", **SHARED)


@pytest.fixture(scope="module")
def longer(place: Path) -> Path:
    return train(place, "longer", stages=LONGER, **SHARED)


def losses(run: Path) -> list[float]:
    """Of the last stage's steps, in order."""
    rows = map(json.loads, (run / LAST / "metrics.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if "loss" in row]


def test_a_gpu_trains_to_the_weights_of_a_cpu(on_cpu: Path, on_gpu: Path) -> None:
    assert largest_difference(on_gpu / LAST, on_cpu / LAST) < 1e-3
    assert compt("verify", on_gpu).returncode == 0


@pytest.mark.parametrize(
    "name, sections",
    [
        ("inline", {"workers": {"gpus": 1}, "teacher": {"placement": "inline"}}),
        ("parts", {**SHARED, "train": {"micro_batch": 24}}),
        ("auto", {**SHARED, "train": {"micro_batch": "auto"}}),
        ("recomputed", {**SHARED, "train": {"activation_checkpointing": True}}),
        ("compiled", {**SHARED, "train": {"compile": True}}),
        ("compiled-teacher", {**SHARED, "teacher": {**SHARED["teacher"], "compile": True}}),
        ("zero-3", {**SHARED, "train": {"zero_stage": 3}}),
    ],
)
def test_how_it_computes_changes_no_weight(
    on_gpu: Path, place: Path, name: str, sections: dict[str, Any]
) -> None:
    assert largest_difference(train(place, name, **sections) / LAST, on_gpu / LAST) < 1e-4


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_as_fp32_does(longer: Path, place: Path, precision: str) -> None:
    """Not the same weights: Adam takes a tiny gradient's rounding for its sign, and fp16 skips a few steps."""
    sections = {**SHARED, "train": {"precision": precision}}
    sections["teacher"] = {**SHARED["teacher"], "precision": precision}
    found, expected = losses(train(place, precision, stages=LONGER, **sections)), losses(longer)
    assert mean(expected[:10]) - mean(expected[-10:]) > 0.5
    assert mean(found[-10:]) == pytest.approx(mean(expected[-10:]), abs=0.05)


def test_killed_processes_change_no_weight(longer: Path, place: Path) -> None:
    """A worker and the teacher die of SIGKILL, each once, in the middle of the second stage."""
    folder = place / "killed"
    folder.mkdir()
    chain = tiny_chain(folder, stages=LONGER, **SHARED)
    log = folder / "log"
    with ray_folder() as ray_dir:
        process = subprocess.Popen(
            command("train", chain, "--run-dir", folder / "run"),
            env=environment(ray_dir),
            stdout=log.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )
        driver = Driver(process, folder / "run", log)
        family: list[psutil.Process] = []
        try:
            for title, step in ((WORKER, 3), (TEACHER, 6)):
                driver.wait_for_step(LAST, step)
                family = descendants(process.pid)
                victims = [one for one in family if " ".join(one.cmdline()).startswith(title)]
                assert victims, [one.name() for one in family]
                end(victims)
            driver.finish()
        finally:
            driver.kill()
            end(family)
    assert largest_difference(folder / "run" / LAST, longer / LAST) < 1e-4
