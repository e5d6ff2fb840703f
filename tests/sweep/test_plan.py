"""Grids and random searches: every candidate once, the same for a seed, and none that cannot be grown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_compt.errors import UserError
from ray_compt.sweep.base import Composition
from ray_compt.sweep.plan import SweepPlan, Ungrowable
from tests.sweep.files import SWEEP, bend, plan, with_space

RANGE = with_space("train.lr: {loguniform: [1e-4, 1e-2]}")


def keys(made: SweepPlan) -> list[str]:
    return [candidate.key for candidate in made.candidates().candidates]


def test_a_grid_holds_every_candidate_once(tmp_path: Path):
    made = plan(tmp_path)
    assert len(set(keys(made))) == len(keys(made)) == made.size == 8 * 2


def test_a_smaller_grid_is_drawn_by_the_seed(tmp_path: Path):
    draws = [
        keys(plan(tmp_path, f"{SWEEP}search: {{algorithm: grid, trials: 5, seed: {seed}}}\n"))
        for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert len(set(draws[0])) == 5
    assert set(draws[0]) < set(keys(plan(tmp_path)))


def random_search(trials: int, seed: int = 0, text: str = RANGE) -> str:
    return f"{text}search: {{algorithm: random, trials: {trials}, seed: {seed}}}\n"


def test_random_candidates_are_the_same_for_a_seed_and_any_number(tmp_path: Path):
    ten, again, four, other = (
        keys(plan(tmp_path, random_search(*search))) for search in ((10,), (10,), (4,), (10, 1))
    )
    assert ten == again
    assert ten[:4] == four
    assert not set(ten) & set(other)


def test_random_candidates_differ_and_end_with_the_space(tmp_path: Path):
    found = keys(plan(tmp_path, random_search(100, text=SWEEP)))
    assert sorted(found) == sorted(keys(plan(tmp_path)))


def only_embed(small: int, large: int, growth: str) -> str | None:
    return "odd" if large == 3 and growth != "embed" else None


T_L = Composition((0, 3))
GROWTHS = with_space("transfer.growth: {choice: [lossless, embed, random]}")


def test_candidates_whose_growth_refuses_a_pair_are_named_and_left_out(tmp_path: Path):
    text = bend("  subsets_of: [T, S, B, L]", "  list: [[T, L], [T, S]]", GROWTHS)
    found = plan(tmp_path, text, ungrowable=only_embed).candidates()
    assert [candidate.label for candidate in found.candidates] == [
        "T-S growth=lossless",
        "T-S growth=embed",
        "T-S growth=random",
        "T-L growth=embed",
        "T-L growth=random",
    ]
    assert found.notes == ("ViT-L-16 cannot be grown from ViT-T-16 by lossless (odd): 1 candidate left out",)


def test_such_a_candidate_is_refused_alone_too(tmp_path: Path):
    made = plan(tmp_path, GROWTHS, ungrowable=only_embed)
    with pytest.raises(Ungrowable, match="by lossless"):
        made.candidate(T_L, {"transfer.growth": "lossless"})
    assert made.candidate(T_L, {"transfer.growth": "embed"}).chain.stages[1].transfer.growth == "embed"


def test_what_it_costs_is_known_all_the_same(tmp_path: Path):
    made = plan(tmp_path, GROWTHS, ungrowable=only_embed)
    assert made.outline(T_L).stages[1].transfer.growth == "lossless"


def test_where_that_is_an_error_it_comes_before_anything_starts(tmp_path: Path):
    text = bend("  subsets_of: [T, S, B, L]", "  ungrowable: refuse", GROWTHS)
    with pytest.raises(UserError, match=r"s.yaml:6: .*cannot be grown from"):
        plan(tmp_path, text, ungrowable=only_embed)


@pytest.mark.parametrize("growth, refused", [("auto", False), ("lossless", True), ("random", False)])
def test_the_base_chain_as_it_is_falls_back_only_by_auto(tmp_path: Path, growth: str, refused: bool):
    text = bend(
        "chains:\n  subsets_of: [T, S, B, L]\n",
        "",
        with_space(f"transfer.growth: {growth}", "train.eps: {choice: [1, 2]}"),
    )
    made = plan(tmp_path, text, ungrowable=only_embed)
    if refused:
        with pytest.raises(UserError, match=r"no candidate is left\n  .*: 2 candidates left out"):
            made.candidates()
    else:
        assert len(made.candidates().candidates) == 2


def test_fixed_values_need_not_be_given(tmp_path: Path):
    candidate = plan(tmp_path).candidate(Composition((0, 1)), {"train.weight_decay": 0.2})
    assert candidate.values == {"train.weight_decay": 0.2, "stages.*.epochs": 3}
    assert [stage.epochs for stage in candidate.chain.stages] == [3, 3]


RECALLED = with_space("train.lr: {loguniform: [1e-4, 1e-2]}", "stages.S.eps: {choice: [1e-6, 2e-6]}")
LISTS = "  list: [[T, L], [S, L], {S: 160, L: 7.5}, {S: 80, L: 7.5}, {S: 80, L: 7.1}]"


def test_candidates_are_recalled_from_their_record(tmp_path: Path):
    text = bend("  subsets_of: [T, S, B, L]", LISTS, RECALLED)
    made = plan(tmp_path, random_search(40, text=text))
    found = made.candidates().candidates
    assert {candidate.composition for candidate in found} == set(made.compositions)
    for candidate in found:
        values = json.loads(json.dumps(candidate.values))
        assert made.recall(candidate.stages, values) == candidate


def test_what_the_sweep_lacks_is_not_recalled(tmp_path: Path):
    made = plan(tmp_path, random_search(2, text=bend("  subsets_of: [T, S, B, L]", LISTS, RECALLED)))
    values = {"train.lr": 1e-3, "stages.S.eps": 1e-6}
    for stages in (["ViT-S-16"], ["gone", "ViT-L-16"]):
        with pytest.raises(UserError, match=r"base.yaml: .*does not make any more"):
            made.recall(stages, values)


def test_values_that_do_not_go_together_are_named(tmp_path: Path):
    text = with_space(
        "transfer.growth: {choice: [lossless, random]}", "transfer.optimizer: {choice: [fresh, carry]}"
    )
    with pytest.raises(UserError, match=r"s.yaml:5: .*random weights have no moments"):
        plan(tmp_path, text).candidates()
