from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

SMALL: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 48, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 14, "width": 32, "heads": 2, "layers": 2},
}


@pytest.fixture
def small() -> Callable[..., dict[str, Any]]:
    """Builds a small inline configuration; keyword `vision__width=64` changes vision_cfg.width."""

    def build(**changes: Any) -> dict[str, Any]:
        config = copy.deepcopy(SMALL)
        for path, value in changes.items():
            section, _, key = path.partition("__")
            if key:
                config[f"{section}_cfg"][key] = value
            else:
                config[section] = value
        return config

    return build
