from __future__ import annotations

import pytest

from ray_compt.config.schema import DataConfig


@pytest.fixture
def data():
    return DataConfig(train="unused", image_size=16, class_field="category")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"
