"""The model from outside that a chain may begin with, `init`: its first stage grows from it, as others from theirs."""

from __future__ import annotations

from typing import Any

from ray_compt.config.schema import StageConfig
from ray_compt.errors import UserError
from ray_compt.growth import CannotGrow, explain
from ray_compt.models import load_preprocess, load_state
from ray_compt.models.store import check_finite


def beginning(
    stage: StageConfig, init: dict[str, Any], model: dict[str, Any]
) -> tuple[str, str, tuple[str, ...]]:
    """How a first stage begins with a model from outside.

    Args:
        stage: with `init`.
        init: open_clip's configuration of that model.
        model: of the stage.

    Returns:
        The operator of growth, the same in words, and what is worth knowing.

    Raises:
        UserError: the stage's model cannot be grown from it.
    """
    transfer = stage.transfer
    operator = "lossless" if transfer.growth == "auto" else transfer.growth
    notes = _normalised_otherwise(str(transfer.init_folder))
    if init == model:
        return operator, f"unchanged from {transfer.init}", notes
    try:
        growth = explain(init, model, operator)
    except CannotGrow as error:
        # Random weights instead, as between stages, would be what nobody asked for.
        raise UserError(
            f"it cannot be grown from init {transfer.init} ({error.message})",
            where=f"stage {stage.name}",
            mend="give a model that is alike and no larger, or leave init out",
        ) from error
    return operator, f"{growth} from {transfer.init}", (*growth.notes, *notes)


def check_init(stage: StageConfig) -> None:
    """Read the weights that a chain begins with once, before anything is trained.

    Raises:
        UserError: they are missing, damaged, not finite or not those of their configuration.
    """
    folder = stage.transfer.init_folder
    if folder is not None:
        check_finite(load_state(folder), where=f"init {stage.transfer.init}")


def _normalised_otherwise(folder: str) -> tuple[str, ...]:
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    preprocess = load_preprocess(folder)
    ours = {"mean": list(OPENAI_DATASET_MEAN), "std": list(OPENAI_DATASET_STD)}
    if all(preprocess.get(key, value) == value for key, value in ours.items()):
        return ()
    return (
        f"{folder} knows pictures normalised otherwise (mean {preprocess.get('mean')}, std {preprocess.get('std')}); "
        "here they are normalised as CLIP's",
    )
