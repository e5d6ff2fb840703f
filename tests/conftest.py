"""What every test shares: quick tests run first, a hang fails, no test reaches a network."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.s3 import S3

# Before anything imports torch or Ray. Test runs share few cores: one thread a process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# Ray starts its workers at niceness 15, where anything else on the machine would starve them.
os.environ.setdefault("RAY_worker_niceness", "0")

INTEGRATION = Path(__file__).parent / "integration"
FAULTS = Path(__file__).parent / "faults"
INTEGRATION_TIMEOUT_S = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts Ray, by its folder, give it more time, and move it behind everything else."""
    for item in items:
        if not {INTEGRATION, FAULTS} & set(item.path.parents):
            continue
        item.add_marker(pytest.mark.integration if INTEGRATION in item.path.parents else pytest.mark.faults)
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(INTEGRATION_TIMEOUT_S))
    items.sort(
        key=lambda item: [item.get_closest_marker(name) is not None for name in ("faults", "integration")]
    )


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[S3]:
    """One S3 endpoint for all tests; moto takes seconds to import."""
    from tests.s3 import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture
def s3(s3_endpoint: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A healthy S3 endpoint with a bucket named "bucket", which the environment points to."""
    from tests.s3 import clear

    for name, value in s3_endpoint.environment.items():
        monkeypatch.setenv(name, value)
    yield s3_endpoint
    s3_endpoint.heal()
    clear(s3_endpoint)


@pytest.fixture
def impatient(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time-outs and waits of a store that a test can wait for."""
    from ray_compt.storage import connect, steady

    monkeypatch.setattr(steady, "WAITS_S", (0.01, 0.01))
    monkeypatch.setattr(steady, "CALL_S", 2.0)
    monkeypatch.setattr(connect, "SILENCE_S", 1.0)
    monkeypatch.setattr(connect, "TRIES", 1)
    connect.connect.cache_clear()
    yield
    s3.heal()
    connect.connect.cache_clear()
