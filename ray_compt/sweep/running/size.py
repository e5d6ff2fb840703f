"""What stands for all of a sweep's chains before any is chosen: their needs of a cluster, and their costs. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import fields

from ray_compt.chain.needs import chain_needs
from ray_compt.config.schema import Chain
from ray_compt.errors import UserError
from ray_compt.plan.cost import plan_chain
from ray_compt.sweep.plan import SweepPlan
from ray_compt.train.cluster import Needs

GIGA = 1e9
# Chains whose costs are counted: enough to say where rungs lie.
MOST_COUNTED = 200


def outlines(plan: SweepPlan) -> list[Chain]:
    """Each composition with the first value of every key, then with each further choice or end of a range, one key at
    a time; grown or not. Values that do not go together are left out.
    """
    found = [plan.outline(composition) for composition in plan.compositions]
    for composition in plan.compositions:
        for parameter in plan.parameters:
            for value in parameter.extremes()[1:]:
                with suppress(UserError):
                    found.append(plan.outline(composition, {parameter.key: value}))
    return found


def most_needed(chains: Iterable[Chain]) -> Needs:
    """What suffices for any one of some chains."""
    each = [chain_needs(chain) for chain in chains]
    return Needs(**{field.name: max(getattr(needs, field.name) for needs in each) for field in fields(Needs)})


def stage_costs(chains: list[Chain], samples: int) -> list[list[float]]:
    """Of each chain, or of `MOST_COUNTED` of them, the 10^9 MACs of training up to the end of each stage.

    Args:
        samples: of the training split.
    """
    counted = chains[:: 1 + (len(chains) - 1) // MOST_COUNTED]
    return [costs_so_far(planned(chain, samples)) for chain in counted]


def planned(chain: Chain, samples: int) -> tuple[tuple[int, int], ...]:
    """Optimizer steps and MACs of each stage's training, teachers included."""
    return tuple((stage.steps, stage.macs) for stage in plan_chain(chain, samples).stages)


def costs_so_far(stages: Iterable[tuple[int, int]]) -> list[float]:
    """Of stages as `planned` has them the 10^9 MACs up to the end of each."""
    spent, found = 0, []
    for _, macs in stages:
        spent += macs
        found.append(spent / GIGA)
    return found
