"""Who teaches a stage, by how much, and what is known of it before any weight is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_compt.config.distill_keys import DistillConfig, TeacherChoice
from ray_compt.config.schema import StageConfig, TeacherConfig, TrainConfig, WorkersConfig
from ray_compt.config.transfer_keys import TransferConfig
from ray_compt.distill.teachers import choose_teachers, passes_taught
from ray_compt.errors import UserError
from ray_compt.models import build_model, count_macs, save_model
from tests.cli.small import MEAN, STD, small_model

WIDTHS = (16, 32, 48)
MODELS = [small_model(width) for width in WIDTHS]


def _stages(**distill: Any) -> list[StageConfig]:
    """Three stages of 5, 7 and 9 epochs; the last with this section."""
    sections = [DistillConfig(), DistillConfig(), DistillConfig(**distill)]
    return [
        StageConfig(
            name=f"stage-{number}",
            model=model,
            epochs=5 + 2 * number,
            train=TrainConfig(),
            workers=WorkersConfig(),
            teacher=TeacherConfig(),
            transfer=TransferConfig(distill=section),
        )
        for number, (model, section) in enumerate(zip(MODELS, sections))
    ]


@pytest.fixture
def outside(tmp_path: Path) -> Callable[..., str]:
    """Stores a model that no chain trained."""

    def store(**changes: Any) -> str:
        config = small_model(64) | {"embed_dim": 24}
        config["text_cfg"] = config["text_cfg"] | changes
        save_model(tmp_path / "wise", build_model(config, 0).state_dict(), config, mean=MEAN, std=STD)
        return str(tmp_path / "wise")

    return store


def test_by_default_the_predecessor_teaches() -> None:
    stages = _stages()
    (teacher,) = choose_teachers(stages, 2, MODELS)
    assert (teacher.name, teacher.stage, teacher.share) == ("stage-1", 1, 1.0)
    assert teacher.model == MODELS[1]
    assert (teacher.mean, teacher.std) == (None, None), "the chain's"
    assert passes_taught(stages, [teacher]) == 5 + 7
    assert choose_teachers(stages, 0, MODELS) == ()
    assert passes_taught(stages, []) == 0


def test_weight_0_opens_no_teacher() -> None:
    assert choose_teachers(_stages(weight=0.0, teachers=[TeacherChoice(model="/absent")]), 2, MODELS) == ()


def test_weights_become_shares_and_outside_models_bring_their_own_normalisation(outside) -> None:
    folder = outside()
    stages = _stages(
        teachers=[TeacherChoice(model="stage-0", weight=3.0), TeacherChoice(model=folder, weight=1.0)]
    )
    first, wise = choose_teachers(stages, 2, MODELS)
    assert [(first.share, first.stage), (wise.share, wise.stage)] == [(0.75, 0), (0.25, None)]
    assert (wise.mean, wise.std, wise.model["embed_dim"]) == (MEAN, STD, 24)
    assert first.macs == count_macs(MODELS[0]) != wise.macs
    assert passes_taught(stages, [first]) == 5
    assert math.isinf(passes_taught(stages, [first, wise]))


def test_a_folder_that_is_none_and_other_input_are_refused(outside) -> None:
    with pytest.raises(UserError, match="/absent is neither an earlier stage nor the folder") as caught:
        choose_teachers(_stages(teachers=[TeacherChoice(model="/absent")]), 2, MODELS)
    assert "stage-0, stage-1;" in (caught.value.mend or "")
    folder = outside(context_length=16)
    with pytest.raises(UserError, match="context_length of the teacher .* is 16, of its student stage-2 12"):
        choose_teachers(_stages(teachers=[TeacherChoice(model=folder)]), 2, MODELS)
