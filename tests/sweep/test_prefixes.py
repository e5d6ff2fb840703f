"""Stages that trials share stand once in the forest, with what that saved."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ray_compt.sweep.prefixes import forest, walk
from ray_compt.sweep.record import TrialRecord
from tests.sweep.records import done, stage, trial


def chain(number: int, *stages: tuple[str, bool]) -> TrialRecord:
    """A trial whose stages cost 100 each; a stage's hash is the path to it."""
    path, found = "", []
    for name, reused in stages:
        path = f"{path}/{name}"
        found.append(done(name, path, 0.5, 100, reused=reused))
    return trial(number, chain=tuple(name for name, _ in stages), stages=tuple(found))


def test_a_shared_first_stage_is_one_node() -> None:
    trials = [
        chain(0, ("T", False), ("S", False)),
        chain(1, ("T", True), ("M", False)),
        chain(2, ("S", False)),
    ]
    small, alone = forest(trials)
    assert (small.stage.name, small.trials, small.paid, small.saved) == ("T", (0, 1), 100, 100)
    assert [(child.stage.name, child.trials, child.saved) for child in small.children] == [
        ("S", (0,), 0),
        ("M", (1,), 0),
    ]
    assert (alone.stage.name, alone.trials, alone.children) == ("S", (2,), ())


def test_a_stage_that_an_earlier_run_trained_was_not_paid() -> None:
    (node,) = forest([chain(0, ("T", True)), chain(1, ("T", True))])
    assert (node.paid, node.saved) == (0, 200)


def test_stages_whose_hash_is_not_known_are_left_out() -> None:
    waiting = trial(0, stages=(done("T", "t", 0.5, 100), stage("S"), stage("M", "m")))
    (node,) = forest([waiting, trial(1, stages=())])
    assert (node.stage.name, node.children) == ("T", ())


@given(st.lists(st.lists(st.sampled_from("TSM"), max_size=4), max_size=10))
def test_the_forest_accounts_for_every_mac(chains: list[list[str]]) -> None:
    """Whoever comes first trains, all others reuse: nodes sum to what trials paid and saved."""
    trained: set[tuple[str, ...]] = set()
    trials = []
    for number, names in enumerate(chains):
        prefixes = [tuple(names[: depth + 1]) for depth in range(len(names))]
        trials.append(chain(number, *((path[-1], path in trained) for path in prefixes)))
        trained.update(prefixes)
    nodes = [node for _, node in walk(forest(trials))]
    assert len(nodes) == len(trained)
    assert sum(node.paid for node in nodes) == sum(trial.macs_paid for trial in trials)
    assert sum(node.saved for node in nodes) == sum(trial.macs_saved for trial in trials)
