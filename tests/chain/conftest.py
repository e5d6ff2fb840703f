from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chain.fabricate import make_run


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    """A run folder to damage; its shards lie elsewhere, where all tests share them."""
    return Path(shutil.copytree(made_once, tmp_path / "run"))
