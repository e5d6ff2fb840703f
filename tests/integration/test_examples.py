"""The examples on a real Ray, which they share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import compositions, from_checkpoint, load_family, own_objective, teacher_in_own_loop
from ray_compt.teacher import directory
from ray_compt.train.cluster import Needs, start_ray
from tests.integration.harness import ledger, ray_folder, read_token_mode


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    """The Ray that an example would start; the next one finds it running."""
    import ray

    with ray_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        read_token_mode()
        start_ray(None, Needs(workers=1, most=1, cpus=1, gpus=0, teacher_cpus=1))
        try:
            yield
        finally:
            ray.shutdown()


def test_a_chain_starts_from_a_checkpoint(tmp_path: Path) -> None:
    run = from_checkpoint.main(tmp_path)
    first, second = ledger(run)["stages"]
    assert (first["state"], second["state"]) == ("done", "done")
    assert "from local-dir:" in first["growth"]
    # Grown weights are measured before they are trained, and the checkpoint teaches.
    assert first["grown_metrics"] and first["teacher_macs"] > 0


def test_a_family_is_loaded_in_plain_open_clip(tmp_path: Path) -> None:
    found = load_family.main(tmp_path)
    assert len(found) == 2
    assert set(found.values()) <= set(load_family.NAMES)


def test_a_chain_is_trained_on_an_objective_of_ones_own(tmp_path: Path) -> None:
    run = own_objective.main(tmp_path)
    for stage in ("01-small", "02-large"):
        lines = [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
        steps = [line for line in lines if "loss" in line]
        assert len(steps) == 8
        assert all(-1 <= line["alignment"] <= 1 for line in steps)
    assert (run / "02-large" / "model.safetensors").is_file()


def test_a_loop_of_ones_own_asks_a_teacher(tmp_path: Path) -> None:
    losses = teacher_in_own_loop.main(tmp_path)
    assert len(losses) == teacher_in_own_loop.STEPS
    assert losses[-1] < losses[0] / 2
    assert not directory.names()


def test_a_sweep_compares_compositions(tmp_path: Path) -> None:
    record = compositions.main(tmp_path)
    assert [trial.state for trial in record.trials] == ["done", "done"]
    assert sum(trial.macs_saved > 0 for trial in record.trials) == 1
