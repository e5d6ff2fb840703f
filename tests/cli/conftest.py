"""The program run in this process, and a small chain with its files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ray_compt.cli.main import app
from ray_compt.config.yaml_io import write_yaml
from tests.cli.small import MEAN, STD, small_chain, small_model


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def compt() -> Callable[..., Result]:
    """Runs `compt` with arguments; an unexpected exception fails the test with its traceback."""

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, list(map(str, arguments)))

    return run


@pytest.fixture
def chain() -> dict[str, Any]:
    return small_chain()


@pytest.fixture
def chain_file(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes a chain file."""

    def write(content: dict[str, Any]) -> Path:
        file = tmp_path / "chain.yaml"
        file.write_text(write_yaml(content))
        return file

    return write


@pytest.fixture
def stage() -> Callable[..., Path]:
    """Writes a stage's folder with random weights."""
    from ray_compt.models import build_model, save_model

    def write(folder: Path, width: int = 32, seed: int = 0) -> Path:
        config = small_model(width)
        save_model(folder, build_model(config, seed).state_dict(), config, mean=MEAN, std=STD)
        return folder

    return write
