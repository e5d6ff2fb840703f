"""Which chains a sweep file asks for, against all subsets; and what it refuses, with the line."""

from __future__ import annotations

from itertools import chain as joined
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.config.sweep_keys import ChainsConfig
from ray_compt.config.tree import Node
from ray_compt.errors import UserError
from ray_compt.sweep.base import Base, Composition, open_base
from ray_compt.sweep.composition import MOST_CHAINS, compose
from tests.sweep.files import CHAIN, bend, case, check_error, load, plan, with_chains


def named_base(stages: int) -> Base:
    names = tuple(f"m{number}" for number in range(stages))
    listed = [Node({"model": Node(name, "", ())}, "", ()) for name in names]
    return Base(Node({"stages": Node(listed, "", ())}, "", ()), names, names, False)


def place(*path: object) -> str:
    return ".".join(map(str, path))


def labels(folder: Path, *lines: str, **how: object) -> list[str]:
    made = plan(folder, with_chains(*lines), **how)  # type: ignore[arg-type]
    return [made.base.label(composition) for composition in made.compositions]


@given(st.data())
def test_subsets_are_those_that_the_rules_allow(data: st.DataObject):
    stages = data.draw(st.integers(1, 7))
    macs = sorted(data.draw(st.lists(st.integers(1, 1000), min_size=stages, max_size=stages, unique=True)))
    chosen = sorted(data.draw(st.sets(st.integers(0, stages - 1), min_size=1)))
    end = data.draw(st.sampled_from(chosen))
    most = data.draw(st.integers(1, stages))
    low, high = sorted(data.draw(st.tuples(st.floats(0.5, 20), st.floats(0.5, 20))))
    refused = data.draw(
        st.sets(st.tuples(st.integers(0, stages - 1), st.integers(0, stages - 1)), max_size=4)
    )
    base = named_base(stages)
    config = ChainsConfig(
        subsets_of=[base.names[index] for index in chosen],
        end=base.names[end],
        length=(1, most),
        ratio=(low, high),
    )
    found = compose(config, base, macs, lambda *pair: "no" if pair in refused else None, place)
    allowed = [
        subset
        for subset in joined.from_iterable(combinations(chosen, count) for count in range(1, most + 1))
        if subset[-1] == end
        and all(
            low <= macs[large] / macs[small] <= high and (small, large) not in refused
            for small, large in pairwise(subset)
        )
    ]
    assert [chain.stages for chain in found.chains] == sorted(
        allowed, key=lambda subset: (len(subset), subset)
    )


def test_all_that_end_with_the_largest_by_default(tmp_path: Path):
    found = labels(tmp_path, "ungrowable: leave_out")
    assert found == ["L", "T-L", "S-L", "B-L", "T-S-L", "T-B-L", "S-B-L", "T-S-B-L"]


def test_a_list_is_taken_as_it_is(tmp_path: Path):
    assert labels(tmp_path, "list: [[T, ViT-L-16], [S], [T, L]]", "ungrowable: refuse") == ["S", "T-L"]


def test_a_list_may_give_epochs(tmp_path: Path):
    made = plan(
        tmp_path,
        bend(
            "  stages.*.epochs: 3\n",
            "",
            with_chains("list: [{S: 160, ViT-L-16: 7.5}, [S, L], {S: 80, L: 20}]"),
        ),
    )
    assert made.compositions == (
        Composition((1, 3), (160, 7.5)),
        Composition((1, 3)),
        Composition((1, 3), (80, 20)),
    )
    assert [made.base.label(chain) for chain in made.compositions] == ["S160-L7.5", "S-L", "S80-L20"]


def test_a_digit_keeps_a_label_and_its_epochs_apart():
    base = named_base(2)
    assert base.label(Composition((0, 1), (160, 2.5))) == "m0:160-m1:2.5"


def test_without_chains_the_base_chain_is_the_only_one(tmp_path: Path):
    text = bend("chains:\n  subsets_of: [T, S, B, L]\n", "")
    assert plan(tmp_path, text, ungrowable=lambda *_: None).compositions == (Composition((0, 1, 2, 3)),)


def test_a_ratio_names_what_it_leaves_out(tmp_path: Path):
    made = plan(tmp_path, with_chains("length: [2, 4]", "ratio: [2, 5]"))
    assert [made.base.label(chain) for chain in made.compositions] == ["B-L", "S-B-L", "T-S-B-L"]
    assert made.notes == ("no neighbours, by a ratio of 2 to 5: T-B 6, T-L 24, S-L 12",)


def no_lossless_to_b(small: int, large: int, growth: str) -> str | None:
    return "patches differ" if large == 2 and growth == "lossless" else None


def test_pairs_that_cannot_be_grown_are_named_and_left_out(tmp_path: Path):
    made = plan(tmp_path, with_chains("length: [2, 3]"), ungrowable=no_lossless_to_b)
    assert [made.base.label(chain) for chain in made.compositions] == ["T-L", "S-L", "B-L", "T-S-L"]
    assert made.notes == (
        "ViT-B-16 cannot be grown from ViT-T-16 (patches differ): 1 chain left out",
        "ViT-B-16 cannot be grown from ViT-S-16 (patches differ): 1 chain left out",
    )


def test_pairs_that_cannot_be_grown_are_kept_in_feature_space_if_asked(tmp_path: Path):
    text = with_chains("list: [[T, B], [T, S]]", "ungrowable: feature_space")
    chain = CHAIN.replace("growth: lossless", "growth: lossless, optimizer: carry")
    made = plan(tmp_path, text, chain=chain, ungrowable=no_lossless_to_b)
    assert made.notes == (
        "ViT-B-16 cannot be grown from ViT-T-16 (patches differ): feature space only, in 1 chain",
    )
    grown, apart = (
        candidate
        for candidate in made.candidates().candidates
        if candidate.values["train.weight_decay"] == 0.1
    )
    grown, apart = sorted((grown, apart), key=lambda candidate: candidate.stages, reverse=True)
    transfers = [candidate.chain.stages[1].transfer for candidate in (grown, apart)]
    assert [(transfer.growth, transfer.optimizer) for transfer in transfers] == [
        ("lossless", "carry"),
        ("random", "fresh"),
    ]
    assert not grown.notes
    assert "feature space only" in apart.notes[0]


@pytest.mark.parametrize(
    "lines, line, message, mend",
    [
        case(
            ["list: [[T, S], [L, T]]"], 7, "chains.list.1: ViT-T-16 is smaller than ViT-L-16", "smallest to"
        ),
        case(["list:", "  - [T, S, S]"], 8, "chains.list.0: ViT-S-16 comes twice", "each model once"),
        case(["list: [[]]"], 7, "chains.list.0: names no model", "one or more"),
        case(["list: [[T, X]]"], 7, "chains.list.0.1: the base chain has no stage X", "use one of T, S, B"),
        case(["subsets_of: [L, B]"], 7, "chains.subsets_of: ViT-B-16 is smaller than ViT-L-16", "largest"),
        case(["end: 16"], 7, "chains.end: expected text", "end"),
        case(["end: ViT"], 7, "chains.end: ViT may be ViT-T-16, ViT-S-16", "the whole name"),
        case(["subsets_of: [T, S]", "end: L"], 8, "L is not among the stages to choose from", "subsets_of"),
        case(["length: [5, 6]"], 7, "a chain of 5 that ends with ViT-L-16 needs 4 smaller models", "most 4"),
        case(["length: [2, 4]", "ratio: [30, 40]"], 6, "no chain is left\n  no neighbours", "widen length"),
        case(
            ["list:", "  - {T: 9,", "     X: 1}"],
            9,
            "chains.list.0.X: the base chain has no stage X",
            "one of",
        ),
        case(
            ["list: [[T], {S: 1, T: 2}]"], 7, "chains.list.1: ViT-T-16 is smaller than ViT-S-16", "smallest"
        ),
        case(["list: [{S: 1, ViT-S-16: 2}]"], 7, "chains.list.0: ViT-S-16 comes twice", "each model once"),
        case(["list: [{}]"], 7, "chains.list.0: names no model", "one or more"),
        case(["list: [[T, B], [B, L]]", "ungrowable: refuse"], 8, "ViT-B-16 cannot be grown", "leave_out"),
        case(["list: [[T, B], [S, B]]"], 6, "no chain is left\n  ViT-B-16 cannot be grown", "feature_space"),
    ],
)
def test_an_impossible_composition(tmp_path: Path, lines: list[str], line: int, message: str, mend: str):
    check_error(tmp_path, with_chains(*lines), line, message, mend, ungrowable=no_lossless_to_b)


def test_too_many_chains_are_refused_at_once():
    with pytest.raises(UserError, match="more than 10,000 chains"):
        compose(ChainsConfig(), named_base(60), range(1, 61), lambda *_: None, place)
    assert (
        len(compose(ChainsConfig(), named_base(14), range(1, 15), lambda *_: None, place).chains)
        < MOST_CHAINS
    )


@pytest.mark.parametrize(
    "stages, expected",
    [
        ("[{model: T, epochs: 1}, {model: BL, epochs: 1}]", ("T", "BL")),
        ("[{model: T, epochs: 1, name: tiny}, {model: S, epochs: 1}]", ("tiny", "S")),
        ("[{model: T, epochs: 1}]", ("ViT-T-16",)),
        ("[{model: T, epochs: 1}, {model: T, epochs: 1}]", ("ViT-T-16", "ViT-T-16-2")),
    ],
)
def test_short_names_tell_stages_apart(tmp_path: Path, stages: str, expected: tuple[str, ...]):
    chain = f"name: a\ndata: {{train: x}}\nstages: {stages}\n"
    assert open_base(load(tmp_path, chain=chain)).labels == expected
