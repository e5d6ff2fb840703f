"""`compt check`: what it says of good chains, and how it refuses bad ones."""

from __future__ import annotations

import json

import pytest


def test_json_describes_every_stage(compt, chain, chain_file):
    result = compt("check", chain_file(chain), "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    found = json.loads(result.stdout)
    assert (found["ok"], found["chain"], found["warnings"]) == (True, "tiny", [])
    small, large = found["stages"]
    assert (small["name"], small["epochs"], small["workers"]) == ("small", 4, [1, 2])
    assert small["image"] == {"width": 32, "layers": 1}
    assert small["text"] == {"width": 32, "layers": 1}
    assert small["growth"] == {"operator": "scratch", "lossless": None, "notes": []}
    assert small["distill"]["weight"] == 0
    assert large["growth"]["lossless"] is True
    assert "clone" in large["growth"]["operator"]
    assert large["parameters"] > small["parameters"]
    # 4 epochs before 1: a long-trained predecessor.
    assert large["distill"]["weight"] == pytest.approx(1000 / 512)


def test_people_read_a_table_and_ok(compt, chain, chain_file):
    result = compt("check", chain_file(chain), "--set", "stages.1.transfer.distill.weight=0")
    assert result.exit_code == 0, result.stderr
    title, header, small, large, *_, last = result.stdout.splitlines()
    assert (title, last) == ("chain tiny", "ok")
    assert header.split()[:2] == ["stage", "model"]
    assert small.split()[:1] + large.split()[:1] == ["small", "large"]
    assert "lossless" in large
    assert large.endswith("-")


def test_shards_that_are_missing_are_a_warning(compt, chain, chain_file):
    chain["data"] |= {"train": "/nowhere/{000..002}.tar", "val": None}
    result = compt("check", chain_file(chain), "--json")
    assert result.exit_code == 0
    missing, unset = result.stderr.splitlines()
    assert missing.startswith("warning: data.train")
    assert "/nowhere/" in missing
    assert unset.startswith("warning: data.val is not set")
    assert len(json.loads(result.stdout)["warnings"]) == 2


def test_a_pair_that_cannot_grow_uses_feature_space_under_auto(compt, chain, chain_file):
    chain["stages"][1]["model"]["vision_cfg"] |= {"patch_size": 4, "width": 96}
    result = compt("check", chain_file(chain), "--json")
    assert result.exit_code == 0, result.stderr
    growth = json.loads(result.stdout)["stages"][1]["growth"]
    assert (growth["operator"], growth["lossless"]) == ("random", False)
    assert "feature space" in growth["notes"][0]


def _line_of(file, text):
    return next(number for number, line in enumerate(file.read_text().splitlines(), 1) if text in line)


def _refused(result, *expected):
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    assert "mend: " in result.stderr
    for text in expected:
        assert text in result.stderr


def test_a_pair_that_cannot_grow_as_demanded_is_refused_where_it_is_demanded(compt, chain, chain_file):
    chain["stages"][1]["model"]["vision_cfg"] |= {"patch_size": 4, "width": 96}
    chain["stages"][1]["transfer"] = {"growth": "lossless"}
    file = chain_file(chain)
    _refused(compt("check", file), f"{file}:{_line_of(file, 'growth: lossless')}: ", "patch")


def test_an_unknown_model_is_refused_with_its_line(compt, chain, chain_file):
    chain["stages"][1]["model"] = "ViT-Q-16"
    file = chain_file(chain)
    _refused(compt("check", file), f"{file}:{_line_of(file, 'ViT-Q-16')}: ", "ViT-Q-16")


def test_an_unknown_model_from_the_command_line_is_refused_there(compt, chain, chain_file):
    _refused(
        compt("check", chain_file(chain), "--set", "stages.1.model=ViT-Q-16"), "--set stages.1.model=ViT-Q-16"
    )


def test_descending_sizes_are_refused(compt, chain, chain_file):
    chain["stages"].reverse()
    file = chain_file(chain)
    _refused(compt("check", file), f"{file}:", "small", "smaller than its predecessor large")


@pytest.mark.parametrize(
    "text, cause", [("a: [", "malformed YAML"), ("name: x\ndta: {}\n", "dta"), ("", "mapping")]
)
def test_a_file_that_is_no_chain_is_refused(compt, tmp_path, text, cause):
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    _refused(compt("check", file), f"{file}", cause)


def test_a_file_that_does_not_exist_is_refused(compt, tmp_path):
    _refused(compt("check", tmp_path / "none.yaml"), "none.yaml")


def test_unknown_built_in_data_is_refused(compt, chain, chain_file):
    chain["data"]["val"] = "builtin:digist"
    _refused(compt("check", chain_file(chain)), "builtin:digist")


def test_a_model_that_cannot_train_exactly_is_refused_before_anything_runs(compt, chain, chain_file):
    chain["stages"][1]["model"]["vision_cfg"]["patch_dropout"] = 0.5
    result = compt("check", chain_file(chain))
    assert result.exit_code == 2
    assert "stage large: PatchDropout at visual.patch_dropout drops with probability 0.5" in result.stderr
    assert "patch_dropout: 0" in result.stderr
