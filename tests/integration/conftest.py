"""One finished run that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ray_compt.forkserver import py_executable
from ray_compt.train.cluster import WORKER_MODULES
from tests.integration.harness import compt, ray_folder, read_token_mode, tiny_chain, tiny_model

STAGES = [
    {"model": tiny_model(16), "epochs": 0.5, "name": "small"},
    {
        "model": tiny_model(32),
        "epochs": 0.5,
        "name": "medium",
        "distill": {"weight": 1.0},
        "teacher": {"placement": "actor"},
        "zero_stage": 2,
    },
    {
        "model": tiny_model(48, layers=2, embed_dim=32),
        "epochs": 0.5,
        "name": "large",
        "distill": {"weight": 1.0},
        "teacher": {"placement": "inline"},
        "zero_stage": 3,
    },
]


@dataclass(frozen=True)
class FinishedRun:
    chain: Path
    folder: Path
    output: str
    errors: str


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A chain of three stages with both placements of the teacher, trained without a disturbance."""
    folder = tmp_path_factory.mktemp("finished")
    chain = tiny_chain(folder, stages=STAGES, evaluate={"suite": "core"})
    result = compt("train", chain, "--run-dir", folder / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    return FinishedRun(chain, folder / "run", result.stdout, result.stderr)


@pytest.fixture
def own_ray() -> Iterator[str]:
    """A Ray of this process's own with room for four workers; nothing of it is left afterwards."""
    with _running_ray() as folder:
        yield folder


@pytest.fixture(scope="module")
def shared_ray() -> Iterator[str]:
    """As `own_ray`, for all tests of a module, each of which ends what it starts there."""
    with _running_ray() as folder:
        yield folder


@contextmanager
def _running_ray() -> Iterator[str]:
    import ray

    with ray_folder() as folder:
        read_token_mode()
        ray.init(
            address="local",
            num_cpus=12,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"py_executable": py_executable(WORKER_MODULES)},
            _temp_dir=folder,
        )
        try:
            yield folder
        finally:
            ray.shutdown()
