"""What composition needs to know of a base chain's models: their sizes, and which can be grown from which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ray_compt.config.schema import Chain

# Why growth refuses to make the second stage from the first by an operator; None where it does not.
Growable = Callable[[int, int, str], str | None]


@dataclass(frozen=True)
class Models:
    """The models of a chain.

    Attributes:
        macs: forward MACs of each, one picture and as many captions as a step draws.
        ungrowable: what growth refuses.
    """

    macs: tuple[int, ...]
    ungrowable: Growable


def measure_models(chain: Chain) -> Models:
    """Sizes and growth of a chain's models, from their configurations alone. Imports torch.

    Raises:
        UserError: an unknown model, sizes that do not ascend, or models that read different input.
    """
    from ray_compt.growth import CannotGrow, explain
    from ray_compt.models import check_ascending, count_macs, model_config

    configs = [model_config(stage.model, chain.data.image_size) for stage in chain.stages]
    check_ascending(configs, [stage.name for stage in chain.stages])
    captions = chain.data.captions_per_image

    def ungrowable(small: int, large: int, operator: str) -> str | None:
        try:
            explain(configs[small], configs[large], operator)
        except CannotGrow as error:
            return error.message
        return None

    return Models(tuple(count_macs(config).forward(captions) for config in configs), ungrowable)
