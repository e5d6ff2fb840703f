"""The winner's chain file is the trial's chain, with its provenance in comments that no value can leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config import Chain, dump_chain, load_chain, make_chain
from ray_compt.errors import UserError
from ray_compt.storage import open_place
from ray_compt.sweep.best import chain_text, read_trial_chain, winning_trial
from ray_compt.sweep.objective import Objective
from tests.cli.small import small_chain
from tests.sweep.records import METRIC, sweep, trial


@pytest.fixture(scope="module")
def chain() -> Chain:
    return make_chain(small_chain(), ["train.lr=1.25e-4", "seed=3"], "here")


def test_it_is_read_back_to_the_same_chain(tmp_path: Path, chain: Chain) -> None:
    (tmp_path / "trials" / "0").mkdir(parents=True)
    (tmp_path / "trials" / "0" / "chain.yaml").write_text(dump_chain(chain))
    found = trial(0, values={"train.lr": 1.25e-4}, seed=3)
    read = read_trial_chain(open_place(tmp_path), found)
    (tmp_path / "best.yaml").write_text(chain_text(sweep(found), found, read))
    assert read == chain == load_chain(tmp_path / "best.yaml")


def test_it_says_where_it_comes_from(chain: Chain) -> None:
    first = trial(4, 0.5, 2000, candidate=2, seed=0, chain=("T", "S"), values={"train.lr": 1.25e-4})
    record = sweep(trial(1), first, trial(5, 0.7, candidate=2, seed=1))
    head = chain_text(record, first, chain).partition("#\n")[0].splitlines()
    assert head == [
        f"# Trial 4 of the sweep digits_quick, which sought the highest {METRIC}.",
        "# candidate: 2, of 2",
        "# chain: T -> S",
        "# train.lr: 0.000125",
        "# seed: 0",
        f"# reached {METRIC}: 0.5 (mean of 2 seeds: 0.6)",
        "# cost: 2.00 k MACs, 20 s",
        "# date: 2026-01-02",
        "# versions: ray_compt 9.9, torch 2.11",
        "# command: compt tune digits_quick",
    ]


@pytest.mark.parametrize("sign", ["\n", "\r", "\x85", "\u2028", "\x0b", "\x00", "\x7f", "\ud800"])
def test_no_value_leaves_its_comment(tmp_path: Path, chain: Chain, sign: str) -> None:
    found = trial(0, values={f"key{sign}name: evil": f"x{sign}name: evil"})
    text = chain_text(sweep(found, command=f"compt{sign}name: evil"), found, chain)
    (tmp_path / "best.yaml").write_text(text, encoding="utf-8")
    assert load_chain(tmp_path / "best.yaml") == chain


def test_the_winner_is_its_candidates_first_seed() -> None:
    trials = (trial(0, 0.6), trial(1, 0.65, candidate=1), trial(2, 0.9, candidate=1, seed=1))
    assert winning_trial(sweep(*trials)).number == 1
    assert winning_trial(sweep(*trials), 2).number == 2


def test_no_winner_says_why() -> None:
    target = sweep(trial(0), objective=Objective(METRIC, at_least=0.9, minimise="macs"))
    with pytest.raises(UserError, match="no winner: no candidate reaches image_to_text_r1 0.9; the nearest"):
        winning_trial(target)


@pytest.mark.parametrize("number, said", [(9, "no trial 9"), (1, "trial 1 is failed")])
def test_a_trial_that_cannot_be_had_says_so(number: int, said: str) -> None:
    with pytest.raises(UserError, match=said):
        winning_trial(sweep(trial(0), trial(1, state="failed")), number)
    with pytest.raises(UserError, match="no trial 0"):
        winning_trial(sweep(), 0)


def test_a_trial_without_its_chain_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the chain file of trial 0 is not here"):
        read_trial_chain(open_place(tmp_path), trial(0))
