"""A run whose shards and run folder lie in a flaky S3: killed, completed, and the same as on a disk."""

from __future__ import annotations

import signal
from pathlib import Path

import open_clip
import pytest
import torch

from tests.integration.harness import (
    compt,
    interrupted,
    largest_difference,
    ledger,
    tiny_chain,
    tiny_model,
)
from tests.s3 import S3, download, every, keys, upload
from tests.shards import make_shards

RUN = "s3://bucket/run"
STAGES = [
    {"model": tiny_model(16), "epochs": 2, "name": "small"},
    {"model": tiny_model(32), "epochs": 2, "name": "large", "distill": {"weight": 1.0}},
]


def _chain(folder: Path, shards: str, name: str) -> Path:
    data = {
        "train": f"{shards}/{{00000..00001}}.tar",
        "val": f"{shards}/00002.tar",
        "class_field": "category",
        "captions_per_image": 1,
    }
    train = {"global_batch": 8, "checkpoint_every": 4}
    return tiny_chain(folder, stages=STAGES, name=name, data=data, train=train)


def _kill_in_stage_2(server: S3, chain: Path) -> None:
    """Kill the driver once the second stage has a checkpoint."""

    def has_checkpoint() -> bool:
        return any(key.endswith("state.json") for key in keys(server, "run/02-large/checkpoints/"))

    interrupted(has_checkpoint, signal.SIGKILL, "train", chain, "--run-dir", RUN)


@pytest.mark.timeout(600)
def test_a_run_in_a_flaky_s3_is_the_run_on_a_disk(s3: S3, tmp_path: Path) -> None:
    make_shards(tmp_path / "shards", n=3, per_shard=32, size=8)
    local = _chain(tmp_path, str(tmp_path / "shards"), "local")
    result = compt("train", local, "--run-dir", tmp_path / "local")
    assert result.returncode == 0, result.stdout + result.stderr

    upload(s3, tmp_path / "shards", "data")
    chain = _chain(tmp_path, "s3://bucket/data", "remote")
    s3.plan = every(7, "error", "cut", "slow")
    _kill_in_stage_2(s3, chain)
    result = compt("train", chain, "--run-dir", RUN)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "small: done already" in result.stdout
    assert all(s3.done[fault] > 3 for fault in ("error", "cut", "slow"))

    s3.heal()
    download(s3, "run", tmp_path / "remote")
    stages = ledger(tmp_path / "remote")["stages"]
    assert [entry["state"] for entry in stages] == ["done", "done"]
    assert [entry["bad_samples"] for entry in stages] == [0, 0]
    for entry in stages:
        folder = tmp_path / "remote" / entry["folder"]
        assert largest_difference(folder, tmp_path / "local" / entry["folder"]) < 1e-5
        model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
        assert all(torch.isfinite(weight).all() for weight in model.state_dict().values())
    steps = [line.split(",")[0] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [f'{{"step": {step}' for step in [*range(1, 17), 16]]
    assert keys(s3, "run/02-large/tensorboard")

    verified = compt("verify", RUN)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    again = compt("train", chain, "--run-dir", RUN)
    assert (again.returncode, "complete in s3://bucket/run" in again.stdout) == (0, True), (
        again.stdout + again.stderr
    )


def test_a_store_that_is_not_there_is_one_message(s3: S3, tmp_path: Path) -> None:
    chain = tiny_chain(tmp_path, stages=STAGES)
    result = compt("train", chain, "--run-dir", "s3://no-such-bucket/run")
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert "the bucket does not exist" in result.stderr
