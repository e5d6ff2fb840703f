"""`compt plan`: where the number of samples comes from, and the figures it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.small import write_shard
from tests.s3 import upload
from tests.shards import make_shards


def _plan(compt, file, *arguments):
    result = compt("plan", file, "--json", *arguments)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_json_has_the_papers_figures_for_vit_4(compt):
    found = _plan(compt, Path(__file__).parents[2] / "chains" / "vit_4.yaml")
    assert {"stages", "chain_macs", "individual_macs", "largest_share", "acceleration"} <= set(found)
    assert round(found["largest_share"], 2) == 0.28
    assert found["acceleration"] == pytest.approx(5.6, abs=0.05)
    assert found["individual_macs"] / found["chain_macs"] == pytest.approx(found["acceleration"])


def test_people_read_a_table_and_what_it_comes_to(compt, chain, chain_file):
    result = compt("plan", chain_file(chain), "--samples", "1600")
    assert result.exit_code == 0, result.stderr
    assert "1,600 samples (from --samples)" in result.stdout
    assert "acceleration" in result.stdout
    assert result.stderr == ""


def test_samples_given_come_first(compt, chain, chain_file):
    found = _plan(compt, chain_file(chain), "--samples", "3200")
    assert (found["samples"], found["samples_from"]) == (3200, "--samples")
    assert found["stages"][0]["steps"] == 4 * 3200 // 16


def test_built_in_data_is_counted(compt, chain, chain_file):
    found = _plan(compt, chain_file(chain), "--set", "data.samples=99")
    assert found["samples_from"] == "builtin:digits/train"
    assert 1400 < found["samples"] < 1500


def _write_shards(folder):
    for number in range(2):
        write_shard(folder / f"{number:05d}.tar", 20)
    return str(folder / "*.tar")


def test_sizes_json_is_believed_without_reading_shards(compt, chain, chain_file, tmp_path):
    chain["data"]["train"] = _write_shards(tmp_path)
    (tmp_path / "sizes.json").write_text('{"00000.tar": 1000, "00001.tar": 500, "other.tar": 7}')
    found = _plan(compt, chain_file(chain), "--set", "data.samples=99")
    assert (found["samples"], found["samples_from"]) == (1500, "sizes.json beside the shards")


@pytest.mark.parametrize("sizes", [None, "[1, 2]", '{"00000.tar": 1000}', "not json"])
def test_small_shards_without_their_sizes_are_counted(compt, chain, chain_file, tmp_path, sizes):
    chain["data"]["train"] = _write_shards(tmp_path)
    if sizes:
        (tmp_path / "sizes.json").write_text(sizes)
    found = _plan(compt, chain_file(chain))
    assert (found["samples"], found["samples_from"]) == (40, "the shards")
    assert list((tmp_path / "cache" / "ray_compt" / "index").iterdir())


def test_large_shards_are_not_walked(compt, chain, chain_file, tmp_path, monkeypatch):
    monkeypatch.setattr("ray_compt.cli.plan.SMALL", 0)
    chain["data"] |= {"train": _write_shards(tmp_path), "samples": 640}
    found = _plan(compt, chain_file(chain))
    assert (found["samples"], found["samples_from"]) == (640, "data.samples")


def test_without_shards_the_chain_file_says(compt, chain, chain_file):
    chain["data"] |= {"train": "/nowhere/{000..002}.tar", "samples": 320}
    assert _plan(compt, chain_file(chain))["samples_from"] == "data.samples"


def test_when_nobody_knows_the_samples_it_says_so(compt, chain, chain_file):
    chain["data"]["train"] = "/nowhere/{000..002}.tar"
    result = compt("plan", chain_file(chain), "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "/nowhere/" in result.stderr
    assert "--set data.samples=N" in result.stderr


def test_fewer_samples_than_a_batch_are_refused(compt, chain, chain_file):
    result = compt("plan", chain_file(chain), "--samples", "15")
    assert result.exit_code == 2
    assert "global batch of 16" in result.stderr


def test_shards_in_an_object_store_are_counted(compt, chain, chain_file, s3, tmp_path):
    make_shards(tmp_path / "shards", n=2, per_shard=16)
    upload(s3, tmp_path / "shards", "data")
    chain["data"]["train"] = "s3://bucket/data/*.tar"
    found = _plan(compt, chain_file(chain))
    assert (found["samples"], found["samples_from"]) == (32, "the shards")
