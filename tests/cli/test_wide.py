"""`compt eval --suite clip_benchmark`: what it prints, and how it goes on past a data set that is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.storage import open_place
from tests.evaluate.clip_benchmark.conftest import digits, model  # noqa: F401

SUITE = ("--suite", "clip_benchmark", "--device", "cpu")


@pytest.fixture
def root(tmp_path: Path, digits) -> str:  # noqa: F811
    """A folder with one set to classify, one of captions, and nothing else."""
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "own-numbers").symlink_to(digits())
    (tmp_path / "sets" / "flickr8k").symlink_to(digits("retrieval"))
    return str(tmp_path / "sets" / "{dataset_cleaned}")


def test_what_can_be_had_is_measured_and_the_rest_is_named(compt, model, root):  # noqa: F811
    names = "wds/own/numbers,wds/nowhere,wds/flickr8k,imagenetv2,linear_probe:wds/own/numbers"
    result = compt("eval", model, *SUITE, "--datasets", names, "--dataset-root", root, "--json")
    assert result.exit_code == 1, result.stderr
    found = json.loads(result.stdout)
    assert found["suite"] == "clip_benchmark"
    (only,) = found["models"]
    assert only["name"] == model.name
    assert {key.rpartition("/")[0] for key in only["metrics"]} == {"wds/own/numbers", "wds/flickr8k"}
    assert 0 < only["metrics"]["wds/own/numbers/zero_shot_top1"] < 1
    assert set(found["failed"]) == {"wds/nowhere", "imagenetv2", "linear_probe:wds/own/numbers"}
    warned = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert [line.split(": ")[1] for line in warned[:2]] == ["wds/nowhere", "imagenetv2"]
    assert "on a GPU only" in warned[2]
    assert result.stderr.splitlines()[-1] == "3 of 5 data sets could not be evaluated on"


def test_people_read_a_table_of_all_stages_of_a_run(compt, model, root, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    run.mkdir()
    for name in ("01-one", "02-two"):
        (run / name).symlink_to(model)
    entries = [
        StageEntry(name=name, folder=name, model="m", epochs=1, state="done") for name in ("01-one", "02-two")
    ]
    Ledger(open_place(run) / "ledger.json", "tiny", entries, []).save()
    result = compt("eval", run, *SUITE, "--datasets", "wds/flickr8k", "--dataset-root", root)
    assert result.exit_code == 0, result.stderr
    title, header, *rows = result.stdout.splitlines()
    assert title == "clip_benchmark"
    assert "01-one" in header and "02-two" in header
    assert [row.count("%") for row in rows] == [2, 2]
    assert all("R@1" in row for row in rows)


def test_without_the_package_the_extra_is_named(compt, model, root, monkeypatch):  # noqa: F811
    monkeypatch.setattr("ray_compt.evaluate.clip_benchmark.installed.find_spec", lambda name: None)
    result = compt("eval", model, *SUITE, "--datasets", "mnist", "--dataset-root", root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "pip install 'ray_compt[eval]'" in result.stderr
