"""`compt data`: what is in shards, and more captions for them."""

from __future__ import annotations

import json

import pytest

from tests.shards import make_shards, sample_key

DIGITS = "builtin:digits/val"


@pytest.fixture
def shards(tmp_path):
    make_shards(tmp_path / "in", n=2, per_shard=3, broken={sample_key(0, 1): "no_caption"})
    return tmp_path / "in"


def test_an_index_is_kept_where_it_is_asked_for(compt, shards, tmp_path):
    first = compt(
        "data", "index", shards, "--cache", tmp_path / "index", "--class-field", "category", "--json"
    )
    assert first.exit_code == 0, first.stderr
    found = json.loads(first.stdout)
    assert (found["shards"], found["samples"], found["bad_samples"], found["classes"]) == (2, 5, 1, 2)
    assert found["reasons"] == {"no caption": 1}
    assert list((tmp_path / "index").iterdir())
    second = compt("data", "index", shards, "--class-field", "category")
    assert f"5 samples in 2 shards, digest {found['digest']}" in second.stdout
    assert "1 samples cannot be used: no caption (1)" in second.stdout


def test_a_data_set_is_described(compt, shards):
    result = compt("data", "stats", shards, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert (found["samples"], found["looked_at"], found["unindexed"]) == (5, 5, 1)
    assert found["width"]["median"] == 16
    # "caption", "2", "of", "picture", nine digits, a start and an end.
    assert found["tokens"]["most"] == 15
    assert (found["context"], found["cut"]) == (77, 0.0)
    people = compt("data", "stats", DIGITS, "--samples", 5)
    assert "5 looked at" in people.stdout
    assert "every sample can be used" in people.stdout


def test_captions_are_merged(compt, shards, tmp_path):
    captions = tmp_path / "captions.jsonl"
    captions.write_text(json.dumps({"key": sample_key(0, 1), "caption": "One. Two."}))
    arguments = ("data", "caption-merge", shards, captions, "--out", tmp_path / "out", "--sentences")
    result = compt(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "2 shards written" in result.stdout
    assert "1 of 6 pictures got 2 captions" in result.stdout
    assert result.stderr == ""
    again = json.loads(compt(*arguments, "--json").stdout)
    assert (again["done"], again["total"]["matched"]) == (2, 1)
    index = json.loads(compt("data", "index", tmp_path / "out", "--json").stdout)
    assert (index["samples"], index["bad_samples"]) == (6, 0)


def test_captions_of_other_pictures_are_warned_of(compt, shards, tmp_path):
    captions = tmp_path / "captions.csv"
    captions.write_text("url,caption\nhttp://a,of nobody\n")
    result = compt("data", "caption-merge", shards, captions, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert "no url of a sample is in the column 'url'" in result.stderr


def test_the_number_of_pieces_of_data_to_look_at_is_checked(compt):
    assert compt("data", "stats", DIGITS, "--samples", 0).exit_code == 2
