"""Reading a chain file for a command: what only its models can tell is checked here, with file and line.

The schema cannot know whether a model or a teacher exists, sizes ascend or a pair can grow; a rule of that kind
goes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ray_compt.errors import UserError, placed

if TYPE_CHECKING:
    from ray_compt.config.load import LoadedChain
    from ray_compt.config.schema import Chain, StageConfig


def open_chain(file: str, overrides: Sequence[str] | None) -> Chain:
    """A chain that could train, as far as configurations tell.

    Raises:
        UserError: with the place in the file or the `--set`, the cause and the mend.
    """
    from ray_compt.config import read_chain
    from ray_compt.models import check_ascending, model_config

    loaded = read_chain(file, overrides or ())
    chain, configs = loaded.chain, []
    for number, stage in enumerate(chain.stages):
        with _blamed_on(loaded.place("stages", number, "model")):
            configs.append(model_config(stage.model, chain.data.image_size))
            neighbours = slice(max(0, number - 1), number + 1)
            check_ascending(configs[neighbours], [stage.name for stage in chain.stages[neighbours]])
        _check_teachers(loaded, number, configs)
        if number:
            with _blamed_on(loaded.place("stages", number, "transfer", "growth")):
                _check_growth(stage, configs[number - 1], configs[number])
    return chain


def _check_teachers(loaded: LoadedChain, number: int, configs: list[dict[str, Any]]) -> None:
    from ray_compt.distill.teachers import choose_teacher

    stages = loaded.chain.stages
    distill = stages[number].transfer.distill
    for place, choice in enumerate(distill.teachers or () if distill.weight else ()):
        path = ("stages", number, "transfer", "distill", "teachers", place, "model")
        with placed(loaded.place(*path)):
            choose_teacher(choice, stages, number, configs)


def _check_growth(stage: StageConfig, source: dict[str, Any], target: dict[str, Any]) -> None:
    from ray_compt.growth import CannotGrow, explain

    try:
        explain(source, target, stage.transfer.growth)
    except CannotGrow:
        # With auto, feature space takes over.
        if stage.transfer.growth != "auto":
            raise


@contextmanager
def _blamed_on(place: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        raise type(error)(error.message, where=place, mend=error.mend) from error
