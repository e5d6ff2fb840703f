"""A second run at another worker count takes its features from the first one's cache, and no teacher runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.integration.harness import compt, largest_difference, ledger, tiny_chain, tiny_model

STAGES = [
    {"name": "small", "model": tiny_model(16), "epochs": 0.5},
    {
        "name": "large",
        "model": tiny_model(32),
        "epochs": 2.5,
        # It ends amid a window.
        "transfer": {"distill": {"weight": 1.95, "stop_at": 0.8}},
    },
]


@pytest.mark.timeout(900)
def test_the_same_stage_trains_from_the_cache_without_a_teacher(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    chain = tiny_chain(tmp_path, stages=STAGES, teacher={"cache": str(cache)})
    first, second = tmp_path / "first", tmp_path / "second"
    written = compt("train", chain, "--run-dir", first)
    assert written.returncode == 0, written.stderr
    assert "features are kept in" in written.stdout
    entry = ledger(first)["stages"][1]
    assert entry["teacher_samples"] > 0 and entry["teacher_macs"] > 0
    files = {file: file.read_bytes() for file in cache.rglob("*.arrow")}
    assert files

    # The same teacher, byte for byte, and only the second stage to train.
    shutil.copytree(first, second)
    shutil.rmtree(second / "02-large")
    book = json.loads((second / "ledger.json").read_text())
    book["stages"][1] = {key: book["stages"][1][key] for key in ("name", "folder", "model", "epochs")}
    (second / "ledger.json").write_text(json.dumps(book))
    read = compt("train", chain, "--run-dir", second, "--set", "workers.min=2", "--set", "workers.max=2")
    assert read.returncode == 0, read.stderr
    assert "teacher small: features from the cache" in read.stdout
    assert "in an actor" not in read.stdout and "in each worker" not in read.stdout
    entry = ledger(second)["stages"][1]
    assert (entry["teacher"], entry["teacher_samples"], entry["teacher_macs"]) == ("cache", 0, 0)
    assert {file: file.read_bytes() for file in cache.rglob("*.arrow")} == files
    assert largest_difference(first / "02-large", second / "02-large") < 1e-5
