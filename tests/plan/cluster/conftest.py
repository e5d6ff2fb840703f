from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_compt.config.schema import StageConfig, TeacherConfig, TrainConfig, WorkersConfig
from ray_compt.config.transfer_keys import TransferConfig
from ray_compt.config.yaml_io import write_yaml
from ray_compt.plan.cluster import ClusterFile, read_cluster


@pytest.fixture
def make_stage() -> Callable[..., StageConfig]:
    """Builds a stage on GPUs; arguments go to the section that knows them."""

    def build(model: Any = "B", *, workers: int = 8, batch: int = 1024, **keys: Any) -> StageConfig:
        teacher = {
            name: keys.pop(f"teacher_{name}")
            for name in TeacherConfig.model_fields
            if f"teacher_{name}" in keys
        }
        asked = {"gpus": 1.0, "cpus": 8.0, "min": 1, "max": workers}
        asked |= {name: keys.pop(name) for name in WorkersConfig.model_fields if name in keys}
        return StageConfig(
            name="stage",
            model=model,
            epochs=1,
            train=TrainConfig(**{"global_batch": batch, "precision": "bf16"} | keys),
            workers=WorkersConfig(**asked),
            teacher=TeacherConfig(**{"gpus": 1.0} | teacher),
            transfer=TransferConfig(),
        )

    return build


@pytest.fixture
def write_cluster(tmp_path: Path) -> Callable[..., Path]:
    """Writes a `ray up` configuration of a small head and of node types by name."""

    def write(*, provider: str = "aws", max_workers: int = 99, **types: dict[str, Any]) -> Path:
        content = {
            "cluster_name": "x",
            "max_workers": max_workers,
            "provider": {"type": provider, "region": "us-east-1"},
            "head_node_type": "head",
            "available_node_types": {
                "head": {"node_config": {"InstanceType": "m5.xlarge"}, "resources": {"CPU": 0}},
                **types,
            },
        }
        file = tmp_path / "cluster.yaml"
        file.write_text(write_yaml(content))
        return file

    return write


def rented(instance: str, *, spot: bool = False, most: int = 99) -> dict[str, Any]:
    """A node type of AWS."""
    config: dict[str, Any] = {"InstanceType": instance}
    if spot:
        config["InstanceMarketOptions"] = {"MarketType": "spot"}
    return {"max_workers": most, "node_config": config}


@pytest.fixture
def make_cluster(write_cluster: Callable[..., Path]) -> Callable[..., ClusterFile]:
    def make(**types: dict[str, Any]) -> ClusterFile:
        return read_cluster(write_cluster(**types))

    return make
