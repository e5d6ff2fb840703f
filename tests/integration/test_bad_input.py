"""What people get wrong: one message with place, cause and mend, no traceback, nothing trained is lost."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

from tests.integration.conftest import FinishedRun
from tests.integration.harness import compt, ledger, tiny_chain, tiny_model

ONE = [{"model": tiny_model(16), "epochs": 0.2}]


def _refused(*arguments: str | Path, code: int = 2) -> str:
    """Run a command that must be refused; returns what it said."""
    result = compt(*arguments, timeout=240)
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert result.stderr.startswith("error: "), result.stderr
    assert "mend:" in result.stderr
    return result.stderr


def test_missing_chain_file(tmp_path: Path) -> None:
    assert "nowhere.yaml" in _refused("train", tmp_path / "nowhere.yaml")


def test_malformed_yaml(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: x\ndata: [1, 2\n")
    assert "bad.yaml:" in _refused("train", file)


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    chain = tiny_chain(tmp_path, stages=ONE, train={"learning_rat": 1})
    assert "learning_rat" in _refused("train", chain)


def test_unknown_model(tmp_path: Path) -> None:
    assert "ViT-Z-99" in _refused("train", tiny_chain(tmp_path, stages=[{"model": "ViT-Z-99", "epochs": 1}]))


def test_descending_sizes(tmp_path: Path) -> None:
    stages = [{"model": tiny_model(32), "epochs": 1}, {"model": tiny_model(16), "epochs": 1}]
    _refused("train", tiny_chain(tmp_path, stages=stages))


def test_a_stage_that_cannot_be_grown(tmp_path: Path) -> None:
    other = tiny_model(32)
    other["vision_cfg"]["patch_size"] = 2
    stages = [{"model": tiny_model(16), "epochs": 1}, {"model": other, "epochs": 1, "growth": "lossless"}]
    assert "patch" in _refused("train", tiny_chain(tmp_path, stages=stages))


def test_no_shards(tmp_path: Path) -> None:
    chain = tiny_chain(tmp_path, stages=ONE, data={"train": str(tmp_path / "*.tar"), "val": None})
    assert "*.tar" in _refused("train", chain, "--run-dir", tmp_path / "run")


def test_an_empty_shard(tmp_path: Path) -> None:
    tarfile.open(tmp_path / "empty.tar", "w").close()
    chain = tiny_chain(tmp_path, stages=ONE, data={"train": str(tmp_path / "empty.tar"), "val": None})
    assert "empty.tar" in _refused("train", chain, "--run-dir", tmp_path / "run")


def test_captions_missing_everywhere(tmp_path: Path) -> None:
    from tests.shards import make_shards

    make_shards(tmp_path / "shards", 8, per_shard=8, size=8, captions=0)
    chain = tiny_chain(tmp_path, stages=ONE, data={"train": str(tmp_path / "shards" / "*.tar"), "val": None})
    assert "caption" in _refused("train", chain, "--run-dir", tmp_path / "run")


def test_more_workers_than_cpus_does_not_hang(tmp_path: Path) -> None:
    many = 1 << (os.cpu_count() or 1).bit_length()
    chain = tiny_chain(tmp_path, stages=ONE, data={"lanes": 64}, workers={"min": max(many, 4)})
    said = _refused("train", chain, "--run-dir", tmp_path / "run")
    assert "workers.min" in said and "CPUs" in said


def test_a_run_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    chain = tiny_chain(tmp_path, stages=ONE)
    assert "cannot be written" in _refused("train", chain, "--run-dir", tmp_path / "file" / "run")


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    chain = tiny_chain(tmp_path, stages=ONE)
    said = _refused("train", chain, "--run-dir", tmp_path / "run", "--address", "127.0.0.1:9")
    assert "127.0.0.1:9" in said


def test_a_checkpoint_of_another_model(finished_run: FinishedRun, tmp_path: Path) -> None:
    """A stage whose model changed finds the old model's checkpoints in its folder."""
    chain = tiny_chain(tmp_path, stages=[{"model": tiny_model(16), "epochs": 0.5, "name": "small"}])
    run = tmp_path / "run"
    foreign = run / "01-small" / "checkpoints" / "checkpoint_1"
    foreign.mkdir(parents=True)
    for file in next((finished_run.folder / "02-medium" / "checkpoints").glob("checkpoint_*")).iterdir():
        (foreign / file.name).write_bytes(file.read_bytes())
    said = _refused("train", chain, "--run-dir", run)
    assert "another model" in said and "checkpoint_1" in said
    assert sorted(os.listdir(foreign)) == ["moments.safetensors", "state.json", "weights.safetensors"]
    assert ledger(run)["stages"][0]["state"] == "failed"


def test_a_damaged_ledger(tmp_path: Path) -> None:
    chain = tiny_chain(tmp_path, stages=ONE)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.json").write_text('{"schema": 1, "stag')
    assert "ledger" in _refused("train", chain, "--run-dir", tmp_path / "run")


def test_nothing_trained_is_lost_by_a_refused_command(finished_run: FinishedRun) -> None:
    before = json.dumps(ledger(finished_run.folder))
    _refused("train", finished_run.chain, "--run-dir", finished_run.folder, "--set", "seed=5")
    assert json.dumps(ledger(finished_run.folder)) == before
    assert (finished_run.folder / "03-large" / "model.safetensors").exists()
