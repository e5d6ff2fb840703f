from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ray_compt.config.distill_keys import DistillConfig
from ray_compt.config.schema import (
    Chain,
    DataConfig,
    IndividualConfig,
    StageConfig,
    TeacherConfig,
    TrainConfig,
    WorkersConfig,
)
from ray_compt.config.transfer_keys import TransferConfig

CC3M = 2_891_445


@pytest.fixture
def make_chain() -> Callable[..., Chain]:
    """Builds a chain of (model, epochs) by hand."""

    def build(
        stages: Sequence[tuple[Any, float]],
        *,
        captions: int = 7,
        weight: float | str = "auto",
        stop_at: float | None = None,
        individual: float | None = None,
        global_batch: int = 1024,
        image_size: int = 224,
    ) -> Chain:
        return Chain(
            name="by_hand",
            data=DataConfig(train="none", captions_per_image=captions, image_size=image_size),
            individual=IndividualConfig(epochs=individual),
            stages=[
                StageConfig(
                    name=f"stage-{index}",
                    model=model,
                    epochs=epochs,
                    train=TrainConfig(global_batch=global_batch),
                    workers=WorkersConfig(),
                    teacher=TeacherConfig(),
                    transfer=TransferConfig(distill=DistillConfig(weight=weight, stop_at=stop_at)),
                )
                for index, (model, epochs) in enumerate(stages)
            ],
        )

    return build


@pytest.fixture
def vit_4(make_chain) -> Chain:
    """The paper's chain of four on CC3M."""
    return make_chain([("T", 128), ("S", 24), ("B", 18), ("L", 15)])
