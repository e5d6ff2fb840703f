"""What every test shares: quick tests run first, a hang fails, no test reaches a network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
