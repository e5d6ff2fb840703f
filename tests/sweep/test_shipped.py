"""The shipped sweep files: they load, every key is explained, and they search what their heads say."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest

from ray_compt.config.sweep_file import find_sweep, load_sweep, shipped_sweeps
from ray_compt.config.yaml_io import read_yaml
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.models import Models
from ray_compt.sweep.plan import SweepPlan

# Forward MACs of the base chains' models; test_models.py counts them.
MACS = {
    "digits_quick": (907_392, 1_969_344, 4_309_376),
    "emoji_orderings": (395_648, 1_381_120, 5_121_536, 11_221_248),
    "growth_distill": (6_596_143_616, 16_427_507_712, 38_421_846_016, 108_101_728_256),
    "orderings_vit": (
        6_596_143_616,
        10_404_002_304,
        16_427_507_712,
        24_016_406_016,
        38_421_846_016,
        77_403_592_704,
        108_101_728_256,
    ),
}
# What a base chain leaves open.
GIVEN = {"emoji_orderings": ["data.train=train/*.tar", "data.val=val/*.tar"]}


def shipped(name: str) -> SweepPlan:
    models = Models(MACS[name], lambda *_: None)
    return check_sweep(load_sweep(name, GIVEN.get(name, ())), lambda _: models)


def stages(made: SweepPlan) -> tuple[int, int]:
    """Stages of all candidates, and those that are left where equal beginnings are trained once."""
    prefixes = [
        tuple(accumulate(stage.model_dump_json() for stage in candidate.chain.stages))
        for candidate in made.candidates().candidates
    ]
    return sum(map(len, prefixes)), len({stage for chain in prefixes for stage in chain})


def test_what_is_shipped():
    assert shipped_sweeps() == sorted(MACS)


@pytest.mark.parametrize("name", sorted(MACS))
def test_it_is_named_like_its_file(name: str):
    assert shipped(name).sweep.name == name


@pytest.mark.parametrize("name", sorted(MACS))
def test_every_key_is_explained(name: str):
    text = find_sweep(name).read_text()
    lines = text.splitlines()
    root = read_yaml(text, str)
    assert root is not None
    for node in (*root.children(), *(inner for child in root.children() for inner in child.children())):
        if isinstance(node.path[-1], str):
            comment = lines[int(node.place) - 1].partition(" #")[2]
            assert len(comment.split()) >= 2, f"{name}: {node.path}"


@pytest.mark.parametrize("name", sorted(MACS))
def test_its_head_says_how_to_run_it(name: str):
    head = find_sweep(name).read_text().partition("\nname:")[0]
    assert all(line.startswith("#") for line in head.strip().splitlines())
    assert f"compt tune {name}" in head


def test_the_quick_one_trains_six_stages_instead_of_ten():
    made = shipped("digits_quick")
    assert [candidate.label for candidate in made.candidates().candidates] == [
        "32x2-64x3 epochs=3",
        "32x2-64x3 epochs=6",
        "32x2-48x2-64x3 epochs=3",
        "32x2-48x2-64x3 epochs=6",
    ]
    assert stages(made) == (10, 6)


def test_all_chains_of_the_emojis_sizes():
    made = shipped("emoji_orderings")
    chains = [made.base.label(chain) for chain in made.compositions]
    assert chains == ["L", "XS-L", "S-L", "M-L", "XS-S-L", "XS-M-L", "S-M-L", "XS-S-M-L"]
    count, distinct = stages(made)
    assert (2 * count, 2 * distinct) == (40, 30)


def test_the_papers_study_has_its_own_chains():
    made = shipped("orderings_vit")
    chains = [made.base.label(chain) for chain in made.compositions]
    assert {len(chain.stages) for chain in made.compositions} == {2, 3, 4}
    assert {"B-L", "S-B-L", "T-S-B-L"} <= set(chains)
    (candidate,) = (each for each in made.candidates().candidates if each.label == "S-B-L")
    assert [stage.epochs for stage in candidate.chain.stages] == [128, 15, 9]


def test_growth_and_distillation_begin_with_one_first_stage():
    made = shipped("growth_distill")
    assert made.compositions == (made.base.whole,)
    assert [parameter.key.rpartition(".")[2] for parameter in made.parameters] == [
        "growth",
        "kind",
        "weight",
        "stop_at",
    ]
    assert math.isclose(made.parameters[2].extremes()[1], 8)
