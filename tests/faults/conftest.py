"""The undisturbed run that all others are compared with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.chain import Undisturbed, write_chain
from tests.integration.harness import compt


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("undisturbed")
    chain = write_chain(folder, workers={"max": 1})
    result = compt("train", chain, "--run-dir", folder / "run")
    assert result.returncode == 0, result.stdout + result.stderr
    return Undisturbed(folder / "run")


@pytest.fixture
def chain(tmp_path: Path) -> Callable[..., Path]:
    """Writes the chain file into the test's folder."""
    return lambda **changes: write_chain(tmp_path, **changes)
