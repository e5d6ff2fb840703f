"""Differences between two chains, as a run folder compares its own with a changed file."""

from __future__ import annotations

from pathlib import Path

from ray_compt.config import ABSENT, Difference, compare_chains
from tests.config.files import GOOD, load


def test_equal_chains_have_none(tmp_path: Path):
    assert compare_chains(load(tmp_path, GOOD), load(tmp_path, "# a comment\n" + GOOD)) == []


def test_every_changed_value_is_named_with_its_stage(tmp_path: Path):
    old = load(tmp_path, GOOD)
    new = load(
        tmp_path, GOOD, "stages.1.epochs=4", "train.betas=[0.8, 0.9]", "data.val=x", "stages.1.model=B"
    )
    assert compare_chains(old, new) == [
        Difference("data.val", None, "x"),
        Difference("stages.0.train.betas", [0.9, 0.98], [0.8, 0.9]),
        Difference("stages.1.name", "ViT-S-16", "ViT-B-16"),
        Difference("stages.1.model", "ViT-S-16", "B"),
        Difference("stages.1.epochs", 2.0, 4.0),
        Difference("stages.1.train.betas", [0.9, 0.98], [0.8, 0.9]),
    ]
    assert [difference.stage for difference in compare_chains(old, new)] == [None, 0, 1, 1, 1, 1]
    assert str(compare_chains(old, new)[0]) == "data.val: None -> x"


def test_stages_that_come_and_go(tmp_path: Path):
    old = load(tmp_path, GOOD)
    new = load(tmp_path, GOOD + "  - {model: B, epochs: 1}\n")
    (added,) = compare_chains(old, new)
    assert (added.path, added.old, added.stage) == ("stages.2", ABSENT, 2)
    assert added.new["model"] == "B"
    (removed,) = compare_chains(new, old)
    assert (removed.path, removed.new) == ("stages.2", ABSENT)


def test_free_mappings_are_compared_key_by_key(tmp_path: Path):
    old = load(tmp_path, GOOD, "stages.0.deepspeed={wall_clock_breakdown: true}")
    new = load(tmp_path, GOOD, "stages.0.deepspeed={dump_state: true}")
    assert [(d.path, d.old, d.new) for d in compare_chains(old, new)] == [
        ("stages.0.train.deepspeed.wall_clock_breakdown", True, ABSENT),
        ("stages.0.train.deepspeed.dump_state", ABSENT, True),
    ]
