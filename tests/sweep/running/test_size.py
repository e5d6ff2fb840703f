"""What a sweep needs of a cluster suffices for any of its chains; its costs are those that `compt plan` counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config import make_chain
from ray_compt.config.schema import Chain
from ray_compt.plan.cost import plan_chain
from ray_compt.sweep.running.size import MOST_COUNTED, most_needed, outlines, planned, stage_costs
from tests.cli.small import small_chain
from tests.sweep.files import plan, with_chains, with_space


def refuses(small: int, large: int, growth: str) -> str | None:
    return "odd" if growth != "embed" else None


def test_every_composition_and_every_value_has_an_outline_even_where_growth_refuses(tmp_path: Path) -> None:
    """The first value of growth may be one that no pair can be grown with."""
    made = plan(
        tmp_path,
        with_space("transfer.growth: {choice: [lossless, embed]}", "train.lr: {choice: [0.001, 0.002]}"),
        ungrowable=refuses,
    )
    found = outlines(made)
    assert {tuple(stage.name for stage in chain.stages) for chain in found} == {
        made.base.stage_names(composition) for composition in made.compositions
    }
    assert {chain.stages[0].train.lr for chain in found} == {0.001, 0.002}


def test_a_chain_that_needs_more_than_the_first_is_counted(tmp_path: Path) -> None:
    # L alone needs two CPUs a worker, and another value of the space two workers.
    text = with_chains("list: [[T, S], [L]]").replace(
        "  stages.*.epochs: 3\n", "  workers.min: {choice: [1, 2]}\n"
    )
    needs = most_needed(outlines(plan(tmp_path, text)))
    assert (needs.workers, needs.cpus) == (2, 2)


@pytest.fixture
def chain() -> Chain:
    return make_chain(small_chain(), [], "here")


def test_costs_are_those_of_the_plan(chain: Chain) -> None:
    (costs,) = stage_costs([chain], samples=64)
    cost = plan_chain(chain, 64)
    assert costs[-1] == cost.chain_macs / 1e9
    assert costs[0] == planned(chain, 64)[0][1] / 1e9 > 0


def test_of_very_many_chains_some_are_counted(chain: Chain) -> None:
    assert len(stage_costs([chain] * (3 * MOST_COUNTED), samples=64)) <= MOST_COUNTED
    assert len(stage_costs([chain] * MOST_COUNTED, samples=64)) == MOST_COUNTED
