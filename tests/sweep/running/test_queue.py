"""Queues give every candidate once, go on after a new start, and tell Optuna what became of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ray_compt.sweep.candidate import Candidate
from ray_compt.sweep.plan import SweepPlan
from ray_compt.sweep.running.queue import Listed, Queue, Sampled
from ray_compt.sweep.running.values import Outcome
from tests.sweep.files import SWEEP, bend, plan, with_space

RANGES = (
    "train.lr: {loguniform: [1e-4, 1e-2]}",
    "train.warmup_steps: {randint: [0, 50]}",
    "transfer.growth: {choice: [lossless, embed, random]}",
)
FIRST_SEVERAL = 8


def searching(algorithm: str = "tpe", trials: int = 30, seed: int = 0, text: str | None = None) -> str:
    text = text or with_space(*RANGES)
    if algorithm == "nsga2":
        text = bend("metric: zero_shot_top1", "metric: zero_shot_top1, cost: macs", text)
    return f"{text}search: {{algorithm: {algorithm}, trials: {trials}, seed: {seed}}}\n"


def drain(queue: Queue) -> Iterator[Candidate]:
    while (candidate := queue.next()) is not None:
        yield candidate


def keys(queue: Queue, most: int = 1000) -> list[str]:
    return [candidate.key for candidate, _ in zip(drain(queue), range(most))]


def sampled(made: SweepPlan, directions: tuple[str, ...] = ("maximize",), **given: object) -> Sampled:
    trials = made.sweep.search.trials
    assert trials is not None
    return Sampled(made, directions, **{"count": trials, **given})  # type: ignore[arg-type]


def test_a_list_is_given_in_its_order(tmp_path: Path) -> None:
    candidates = plan(tmp_path).candidates().candidates
    assert keys(Listed(candidates)) == [candidate.key for candidate in candidates]


def test_a_list_leaves_out_what_has_begun_wherever_it_stands(tmp_path: Path) -> None:
    candidates = plan(tmp_path).candidates().candidates
    # A grid that is drawn from has another order than the whole one.
    drawn = plan(tmp_path, f"{SWEEP}search: {{algorithm: grid, trials: 5}}\n").candidates().candidates
    queue = Listed(candidates, drawn)
    assert len(queue) == len(candidates) - 5
    left = keys(queue)
    assert set(left) == {one.key for one in candidates} - {one.key for one in drawn}
    assert len(left) == len(set(left)) == len(candidates) - 5


def test_samples_are_the_same_for_a_seed(tmp_path: Path) -> None:
    one, again, other = (keys(sampled(plan(tmp_path, searching(seed=seed)))) for seed in (0, 0, 1))
    assert one == again != other
    assert len(one) == len(set(one)) == 30


@pytest.mark.parametrize("algorithm", ["tpe", "nsga2"])
def test_samples_lie_in_the_space(tmp_path: Path, algorithm: str) -> None:
    made = plan(tmp_path, searching(algorithm))
    directions = ("maximize", "minimize") if algorithm == "nsga2" else ("maximize",)
    queue = sampled(made, directions)
    found = []
    for number, candidate in enumerate(drain(queue)):
        found.append(candidate)
        queue.tell(number, Outcome(tuple(float(number) for _ in directions)))
    assert len(found) == 30
    assert {candidate.composition for candidate in found} <= set(made.compositions)
    assert len({candidate.composition for candidate in found}) > 1
    for candidate in found:
        assert 1e-4 <= candidate.values["train.lr"] <= 1e-2
        assert candidate.values["train.warmup_steps"] in range(51)
        # A chain of one model has nothing to grow.
        assert ("transfer.growth" in candidate.values) == (len(candidate.stages) > 1)
        assert candidate.chain.stages[0].train.lr == candidate.values["train.lr"]


def test_a_finite_space_ends_with_its_last_candidate(tmp_path: Path) -> None:
    made = plan(tmp_path, searching(trials=500, text=SWEEP))
    found = keys(sampled(made))
    assert sorted(found) == sorted(one.key for one in plan(tmp_path).candidates().candidates)


def test_choices_may_be_lists(tmp_path: Path) -> None:
    betas = [[0.9, 0.98], [0.9, 0.999]]
    made = plan(tmp_path, searching(trials=6, text=with_space(f"train.betas: {{choice: {betas}}}")))
    found = list(drain(sampled(made)))
    assert all(candidate.values["train.betas"] in betas for candidate in found)
    assert {tuple(candidate.chain.stages[0].train.betas) for candidate in found} == {
        (0.9, 0.98),
        (0.9, 0.999),
    }


def only_embed(small: int, large: int, growth: str) -> str | None:
    return None if growth == "embed" else "odd"


def test_what_cannot_be_grown_is_passed_over_and_named(tmp_path: Path) -> None:
    text = with_space("transfer.growth: {choice: [lossless, embed]}")
    queue = sampled(plan(tmp_path, searching(trials=100, text=text), ungrowable=only_embed))
    found = list(drain(queue))
    # Seven chains that are grown, and one model alone.
    assert len(found) == 8
    assert {candidate.values.get("transfer.growth", "embed") for candidate in found} == {"embed"}
    assert any("cannot be grown" in note and "left out" in note for note in queue.notes)


def best_is_small(candidate: Candidate) -> float:
    return -candidate.values["train.lr"]


def lessons(made: SweepPlan, count: int, queue: Sampled | None = None) -> list[tuple[Candidate, Outcome]]:
    queue = queue or sampled(made, count=count)
    found = []
    for number, candidate in enumerate(drain(queue)):
        outcome = Outcome((best_is_small(candidate),))
        queue.tell(number, outcome)
        found.append((candidate, outcome))
    return found


ONE = with_space("train.lr: {loguniform: [1e-6, 1e-1]}")


def test_a_sampler_learns_from_earlier_starts_and_gives_none_of_them_again(tmp_path: Path) -> None:
    made = plan(tmp_path, searching(text=ONE))
    known = lessons(made, 20)
    queue = sampled(made, known=known)
    fresh = list(drain(queue))
    assert len(fresh) == 30 - 20
    assert not {one.key for one in fresh} & {one.key for one, _ in known}
    # Of a uniform draw every second would lie above.
    middle = 10**-3.5
    assert sum(one.values["train.lr"] < middle for one in fresh) >= 8


def test_a_candidate_that_goes_on_is_told_after_the_new_start(tmp_path: Path) -> None:
    made = plan(tmp_path, searching(text=ONE))
    first = lessons(made, 3)
    open_ = [(candidate, None) for candidate, _ in first]
    queue = sampled(made, known=open_)
    fresh = queue.next()
    assert fresh is not None
    for number, (_, outcome) in enumerate(first):
        queue.tell(number, outcome)
    queue.tell(3, Outcome((best_is_small(fresh),)))
    told = [trial.values for trial in queue.study.get_trials()]
    assert told == [[best_is_small(candidate)] for candidate, _ in (*first, (fresh, None))]
    assert [trial.params["train.lr"] for trial in queue.study.get_trials()][:3] == [
        candidate.values["train.lr"] for candidate, _ in first
    ]


def test_what_became_of_a_candidate_is_told(tmp_path: Path) -> None:
    queue = sampled(plan(tmp_path, searching(text=ONE)))
    for outcome in (Outcome((0.5,)), Outcome(pruned=True), Outcome()):
        queue.next()
        queue.tell(len(queue.study.get_trials()) - 1, outcome)
    assert [trial.state.name for trial in queue.study.get_trials()] == ["COMPLETE", "PRUNED", "FAIL"]
    queue.tell(0, Outcome((0.9,)))
    assert queue.study.best_value == 0.5, "it is told once"
    queue.tell(99, Outcome((0.9,)))
    assert queue.study.best_value == 0.5


def test_pruned_candidates_of_earlier_starts_count_as_bad(tmp_path: Path) -> None:
    made = plan(tmp_path, searching(text=ONE))
    known = [(candidate, Outcome(pruned=True)) for candidate, _ in lessons(made, 4)]
    queue = sampled(made, known=known)
    assert [trial.state.name for trial in queue.study.get_trials()] == ["PRUNED"] * 4
