"""Candidates: whose settings a stage of a composed chain has, which values it reads, and what it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config import dump_chain, load_chain
from ray_compt.errors import UserError
from ray_compt.sweep.base import Composition
from ray_compt.sweep.candidate import Candidate
from tests.sweep.files import CHAIN, MACS, bend, case, check_error, plan, with_chains, with_space


def only(folder: Path, sweep: str, chain: str = CHAIN) -> Candidate:
    (candidate,) = plan(folder, sweep, chain=chain).candidates().candidates
    return candidate


def with_list(chains: str, *space: str) -> str:
    text = with_space(*space) if space else with_space("train.eps: 1e-7")
    return bend("  subsets_of: [T, S, B, L]", f"  list: {chains}", text)


def test_the_first_model_is_trained_as_the_base_chains_first(tmp_path: Path):
    first, last = only(tmp_path, with_list("[[S, L]]")).chain.stages
    assert (first.name, first.epochs, first.train.warmup_steps) == ("ViT-S-16", 100, 50)
    # Not its own lr, which is that of a grown model, but what it needs to fit into memory.
    assert (first.train.lr, first.train.micro_batch) == (1e-3, 4)
    assert (last.epochs, last.train.warmup_steps, last.workers.cpus) == (10, 5, 2)


def test_epochs_of_the_list_win_over_the_base_chains(tmp_path: Path):
    candidate = only(tmp_path, with_list("[{S: 160, L: 7.5}]"))
    first, last = candidate.chain.stages
    assert (first.epochs, last.epochs) == (160, 7.5)
    # All else as without: the warm-up of the base chain's first.
    assert (first.train.warmup_steps, first.train.micro_batch) == (50, 4)
    assert candidate.values == {
        "train.eps": 1e-7,
        "stages.ViT-S-16.epochs": 160,
        "stages.ViT-L-16.epochs": 7.5,
    }
    assert candidate.label == "S160-L7.5"


def test_other_epochs_make_another_candidate(tmp_path: Path):
    made = plan(tmp_path, with_list("[{S: 1, L: 2}, {S: 2, L: 1}, [S, L], {S: 1, L: 2}]"))
    found = made.candidates().candidates
    assert [candidate.label for candidate in found] == ["S1-L2", "S2-L1", "S-L"]
    assert len({candidate.key for candidate in found}) == len(found) == made.size == 3


@pytest.mark.parametrize("key", ["stages.*.epochs", "stages.S.epochs", "stages.1.epochs"])
def test_epochs_are_given_in_one_place(tmp_path: Path, key: str):
    text = with_list("[{S: 160, L: 7.5}]", "train.eps: 1e-7", f"{key}: {{choice: [1, 2]}}")
    check_error(
        tmp_path, text, 5, f"space.{key}: chains.list gives the epochs of S160-L7.5", "list of stages"
    )
    with pytest.raises(
        UserError, match=r"--set stages.\*.epochs=1: stages.\*.epochs: chains.list gives"
    ) as caught:
        plan(tmp_path, with_list("[{S: 160, L: 7.5}]"), "stages.*.epochs=1")
    assert caught.value.where == "--set stages.*.epochs=1"


def test_epochs_of_stages_that_the_list_gives_none_may_vary(tmp_path: Path):
    text = with_list("[{S: 160, L: 7.5}, [T, B]]", "stages.B.epochs: {choice: [1, 2]}")
    labels = [
        candidate.label
        for candidate in plan(tmp_path, text, "stages.ViT-T-16.epochs=5").candidates().candidates
    ]
    assert labels == ["T-B epochs=1", "T-B epochs=2", "S160-L7.5"]


def test_the_whole_base_chain_is_itself(tmp_path: Path):
    candidate = only(tmp_path, with_list("[[T, S, B, L]]"))
    base = load_chain(tmp_path / "base.yaml", ["train.eps=1e-7"])
    assert candidate.chain == base
    assert candidate.trial(7) == base.model_copy(update={"seed": 7})


def test_it_survives_a_dump(tmp_path: Path):
    candidate = only(tmp_path, with_list("[[S, L]]", "train.lr: 3.0e-4"))
    (tmp_path / "best.yaml").write_text(dump_chain(candidate.chain))
    assert load_chain(tmp_path / "best.yaml") == candidate.chain


@pytest.mark.parametrize(
    "key, reached",
    [
        ("stages.*.weight_decay", [0, 1, 2]),
        ("stages.*.train.weight_decay", [0, 1, 2]),
        ("stages.S.weight_decay", [0]),
        ("stages.ViT-B-16.weight_decay", [1]),
        ("stages.2.weight_decay", [2]),
        ("train.weight_decay", [0, 1, 2]),
    ],
)
def test_a_key_reaches_its_stages(tmp_path: Path, key: str, reached: list[int]):
    chain = only(tmp_path, with_list("[[S, B, L]]", f"{key}: 0.5")).chain
    changed = [number for number, stage in enumerate(chain.stages) if stage.train.weight_decay == 0.5]
    assert changed == reached


def test_values_that_a_chain_does_not_read_are_no_values_of_it(tmp_path: Path):
    text = with_list(
        "[[L], [S, L]]",
        "stages.S.lr: {choice: [1e-3, 2e-3]}",
        "stages.1.eps: {choice: [1e-6, 2e-6]}",
        "transfer.growth: {choice: [lossless, embed]}",
    )
    labels = [candidate.label for candidate in plan(tmp_path, text).candidates().candidates]
    assert labels[0] == "L"
    assert len(labels) == len(set(labels)) == 1 + 2 * 2 * 2
    assert "S-L lr=0.002 eps=1e-06 growth=embed" in labels


def test_a_first_stage_reads_its_transfer_where_it_has_teachers(tmp_path: Path):
    text = with_list("[[L]]", "transfer.distill.teachers: [{model: /models/teacher}]")
    chain = only(tmp_path, text).chain
    assert chain.stages[0].transfer.distill.teachers is not None
    base = CHAIN.replace("growth: lossless", "distill: {teachers: [{model: /models/teacher}]}")
    candidate = only(tmp_path, with_list("[[L]]", "transfer.distill.weight: 2.0"), base)
    assert candidate.chain.stages[0].transfer.distill.weight == 2.0


def test_whichever_model_is_first_begins_with_the_model_from_outside(tmp_path: Path):
    base = CHAIN.replace("{model: T,", "{model: T, init: local-dir:/models/N,", 1)
    assert base != CHAIN
    stages = only(tmp_path, with_list("[[S, L]]", "transfer.noise: 0.5"), base).chain.stages
    assert [stage.transfer.init for stage in stages] == ["local-dir:/models/N", None]
    # A first stage that grows reads what growth is asked for.
    assert stages[0].transfer.noise == 0.5


def test_teachers_that_the_chain_lacks_are_left_out(tmp_path: Path):
    teachers = "distill: {teachers: [{model: ViT-T-16}, {model: ViT-S-16, weight: 2}]}"
    base = CHAIN.replace("{model: L, epochs: 10,", f"{{model: L, epochs: 10, {teachers},")
    both, one, none = (
        only(tmp_path, with_list(chains), base).chain.stages[-1].transfer.distill.teachers
        for chains in ("[[T, S, L]]", "[[S, B, L]]", "[[B, L]]")
    )
    assert [teacher.model for teacher in both or ()] == ["ViT-T-16", "ViT-S-16"]
    assert [teacher.model for teacher in one or ()] == ["ViT-S-16"]
    assert none is None


@pytest.mark.parametrize(
    "space, label",
    [
        (["train.lr: {choice: [1.0e-3]}"], "T-L"),
        (["train.lr: {choice: [0.00123456, 1]}"], "T-L lr=0.001235"),
        (["train.betas: {choice: [[0.9, 0.98], [0.8, 0.9]]}"], "T-L betas=[0.9,0.98]"),
        (["stages.T.lr: {choice: [1, 2]}", "stages.L.lr: {choice: [3, 4]}"], "T-L T.lr=1 L.lr=3"),
        (["stages.*.lr: {choice: [1, 2]}", "train.lr: {choice: [3, 4]}"], "T-L *.lr=1 train.lr=3"),
    ],
)
def test_a_name_for_people(tmp_path: Path, space: list[str], label: str):
    assert plan(tmp_path, with_list("[[T, L]]", *space)).candidates().candidates[0].label == label


def test_without_chains_the_values_name_it(tmp_path: Path):
    text = bend("chains:\n  subsets_of: [T, S, B, L]\n", "")
    assert [each.label for each in plan(tmp_path, text).candidates().candidates] == [
        "weight_decay=0.1",
        "weight_decay=0.2",
    ]


@pytest.mark.parametrize(
    "line, message, mend",
    [
        case("train.lrr: 1", "space.train.lrr: unknown key", "did you mean lr?", id="unknown"),
        case("stages.*.lrr: 1", "space.stages.*.lrr: unknown key", "did you mean lr?", id="in stages"),
        case("lr: {choice: [1, 2]}", "space.lr: unknown key", "write it in train", id="outside its section"),
        case("train.lr.x: 1", "is 0.001 and has no key x", "as a whole", id="through a value"),
        case("train.lr: {choice: [1, fast]}", "space.train.lr: expected a number", "lr:", id="wrong type"),
        case("train.lr: {uniform: [-1, 1]}", "space.train.lr: expected a number, above 0, found -1", "lr"),
        case("stages.*.epochs: {randint: [0, 3]}", "space.stages.*.epochs: expected", "epochs", id="limit"),
        case("train.warmup_steps: {uniform: [1, 5]}", "expected a whole number", "warmup_steps", id="real"),
        case("transfer.growth: {choice: [lossless, losless]}", "expected one of auto", "growth", id="choice"),
        case("train.global_batch: {choice: [96, 50]}", "a batch of 50 cannot take", "multiple", id="rule"),
        case(
            "data.lanes: {choice: [4, 7]}",
            "space.data.lanes: with 7, train.global",
            "multiple of 7",
            id="rule between sections",
        ),
        case("stages.X.lr: 1", "space.stages.X.lr: the base chain has no stage X", "use one of T, S"),
        case("stages.4.lr: 1", "no chain has a stage 4", "has 4, counted from 0", id="beyond"),
        case("stages.S.model: {choice: [S, M]}", "no key of a space", "in chains:", id="model"),
        case("stages: {choice: [1, 2]}", "no key of a space", "in chains:", id="stages"),
        case("seed: {choice: [0, 1]}", "space.seed: no key of a space", "seeds: [0, 1, 2]", id="seed"),
        case("train..lr: 1", "no key of a chain file", "write for example train.lr", id="no key"),
    ],
)
def test_a_wrong_key_or_value_is_named_at_its_line(tmp_path: Path, line: str, message: str, mend: str):
    check_error(tmp_path, with_space("train.eps: 1e-7", line), 5, message, mend)


def test_a_wrong_choice_is_named_at_its_own_line(tmp_path: Path):
    text = with_space("train.lr:", "  choice:", "    - 1", "    - fast")
    check_error(tmp_path, text, 7, "space.train.lr: expected a number", "lr:")


def test_all_wrong_values_are_told_at_once(tmp_path: Path):
    text = with_space("train.lr: {choice: [1, -1]}", "train.eps: {choice: [1, -1]}")
    with pytest.raises(UserError, match=r"2 problems\n.*s.yaml:4.*\n.*\n.*s.yaml:5"):
        plan(tmp_path, text)


def test_one_key_is_not_given_twice(tmp_path: Path):
    text = with_space("stages.*.lr: 1", "stages.*.train.lr: {choice: [1, 2]}")
    check_error(tmp_path, text, 5, "the same key as stages.*.lr", "keep one")
    for override in ("stages.*.lr=1", "stages.*.train.lr=1"):
        with pytest.raises(UserError, match=r"also given with --set stages.*lr=1"):
            plan(tmp_path, with_space("stages.*.lr: {choice: [0.1, 0.2]}"), override)


def test_a_mistake_of_the_base_chain_is_named_there(tmp_path: Path):
    for chain, line in ((CHAIN.replace("cpus: 2", "cpus: -2"), 12), (CHAIN.split("stages:")[0], 1)):
        with pytest.raises(UserError, match=rf"base.yaml:{line}: "):
            plan(tmp_path, chain=chain, macs=MACS)


def test_what_the_base_chain_leaves_open_may_be_given_in_either_place(tmp_path: Path):
    chain = CHAIN.replace("train: builtin:digits/train", "train: ???")
    for space, overrides in ((["data.train: here"], []), (["train.eps: 1e-7"], ["data.train=here"])):
        made = plan(tmp_path, with_space(*space), *overrides, chain=chain)
        assert made.candidates().candidates[0].chain.data.train == "here"
    with pytest.raises(UserError, match=r"base.yaml:3: data.train has no value yet"):
        plan(tmp_path, chain=chain)


def test_chains_refer_to_composed_names(tmp_path: Path):
    candidate = only(tmp_path, with_list("[[S, L]]"))
    assert candidate.stages == ("ViT-S-16", "ViT-L-16")
    assert candidate.composition == Composition((1, 3))


def test_with_chains_is_bent(tmp_path: Path):
    assert plan(tmp_path, with_chains("length: [1, 1]")).compositions == (Composition((3,)),)
