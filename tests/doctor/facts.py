"""A healthy machine, of which a test spoils one thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ray_compt.doctor.facts import NodeFacts

GB = 10**9
PACKAGES = {
    "ray_compt": "0.1.0",
    "Python": "3.11.9",
    "ray": "2.60.0",
    "torch": "2.12.0",
    "deepspeed": "0.19.8",
    "open_clip_torch": "3.3.0",
    "timm": "1.0.31",
}


def healthy(**spoilt: Any) -> NodeFacts:
    facts = NodeFacts(
        host="node",
        packages=PACKAGES,
        code="0123",
        gpus=8,
        torch_cuda="12.8",
        driver_cuda="12.4",
        shared_memory=64 * GB,
        temp="/tmp",
        temp_bytes=500 * GB,
        temp_free=400 * GB,
        open_files=65_536,
    )
    return replace(facts, **spoilt)


def with_packages(**versions: str | None) -> dict[str, str]:
    """Other versions of some packages; None: not installed."""
    return {name: version for name, version in (PACKAGES | versions).items() if version is not None}
