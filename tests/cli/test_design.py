"""`compt design` on run folders' ledgers: its table, its JSON, the sweep it writes, its errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.config.yaml_io import read_yaml
from ray_compt.storage import open_place

FORWARD = {"ViT-T-16": 1e6, "ViT-S-16": 3e6, "ViT-L-16": 1e7}
SAMPLES = 1000


def _entry(
    model: str, epochs: float, reached: float, *, folder: str, teacher: str | None = None
) -> StageEntry:
    taught = int(SAMPLES * epochs * FORWARD[teacher]) if teacher else 0
    return StageEntry(
        name=model.split("-")[1].lower(),
        folder=folder,
        model=model,
        epochs=epochs,
        state="done",
        samples=int(SAMPLES * epochs),
        macs=int(3 * SAMPLES * epochs * FORWARD[model]) + taught,
        teacher_macs=taught,
        growth="lossless" if teacher else "scratch",
        distill_weight=2.0 if teacher else 0.0,
        data="abc",
        metrics={"image_to_text_r1": reached, "image_to_text_r5": min(1.0, reached + 0.2), "samples": 100.0},
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two runs of the chain T S L, one with the models alone."""

    def write(name: str, stages: list[StageEntry], individual: list[StageEntry]) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        Ledger(open_place(folder / "ledger.json"), name, stages, individual, SAMPLES).save()
        return folder

    def chain(long: float, short: float, *reached: float) -> list[StageEntry]:
        models = list(FORWARD)
        return [
            _entry(model, short if number else long, metric, folder=f"0{number}", teacher=teacher)
            for number, (model, metric, teacher) in enumerate(zip(models, reached, [None, *models]))
        ]

    alone = [
        _entry(model, 160, reached, folder=f"individual/{model}")
        for model, reached in (("ViT-S-16", 0.60), ("ViT-L-16", 0.66))
    ]
    return [
        write("one", chain(80, 10, 0.45, 0.50, 0.56), alone),
        write("two", chain(160, 20, 0.51, 0.56, 0.62), []),
    ]


def _json(compt: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    result = compt("design", *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_people_read_sizes_chains_and_what_they_rest_on(compt, runs):
    result = compt("design", *runs, "--sizes", "T,S,L", "--budget", "50%")
    assert result.exit_code == 0, result.stderr
    assert "chains worth training" in result.stdout
    assert "Fitted to 4 trainings of models alone and 4 of stages." in result.stdout
    # T was trained for 80 and 160, L alone for 160 and as a stage for 10 and 20.
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    assert ["L", "10.0 M", "160", "10, 20"] in [[cell.strip() for cell in line if cell][:4] for line in lines]
    assert result.stderr == ""


def test_json_has_one_chain_a_composition_within_the_budget(compt, runs):
    found = _json(compt, *runs, "--budget", "2.4T", "--best", "9")
    assert found["metric"] == "image_to_text_r1"
    sizes = [tuple(stage["model"] for stage in chain["stages"]) for chain in found["chains"]]
    assert len(set(sizes)) == len(sizes) and {models[-1] for models in sizes} == {"ViT-L-16"}
    for chain in found["chains"]:
        assert 0 < chain["low"] < chain["metric"] < chain["high"] < 1
        assert chain["macs"] <= 2.4e12
        assert set(chain["rules"]) == {"fits", "steps", "falls"}


def test_the_cheapest_for_a_target_ends_where_it_is_told_to(compt, runs):
    found = _json(
        compt, *runs, "--target", "55%", "--sizes", "t,s", "--end", "S", "--metric", "image_to_text_r1"
    )
    assert {chain["stages"][-1]["model"] for chain in found["chains"]} == {"ViT-S-16"}
    assert all(chain["metric"] >= 0.5499 for chain in found["chains"])


def test_proposals_become_a_sweep_file(compt, runs, tmp_path):
    sweep = tmp_path / "sweeps" / "verify.yaml"
    found = _json(compt, *runs, "--budget", "2T", "--best", "2", "--write", sweep)
    assert found["sweep"] == str(sweep)
    node = read_yaml(sweep.read_text(), str)
    assert node is not None
    written = node.plain()
    assert (sweep.parent / written["chain"]).resolve() == (runs[0] / "chain.yaml").resolve()
    listed = [
        {stage["model"][4].lower(): stage["epochs"] for stage in chain["stages"]} for chain in found["chains"]
    ]
    assert written["chains"]["list"] == listed
    assert written["objective"] == {"metric": "image_to_text_r1", "mode": "max"}


def test_a_target_becomes_the_objective_of_its_sweep(compt, runs, tmp_path):
    sweep = tmp_path / "verify.yaml"
    _json(compt, *runs, "--target", "0.6", "--best", "1", "--write", sweep)
    node = read_yaml(sweep.read_text(), str)
    assert node is not None
    objective = {"metric": "image_to_text_r1", "at_least": 0.6, "minimise": "macs"}
    assert node.plain()["objective"] == objective


@pytest.mark.parametrize(
    "arguments, says",
    [
        ([], "give either a budget or a target"),
        (["--budget", "1T", "--target", "0.5"], "give either a budget or a target"),
        (["--budget", "1k"], "less than the cheapest chain that ends with ViT-L-16 takes"),
        (["--budget", "lots"], "lots is no budget"),
        (["--budget", "1T", "--sizes", "T,B"], "no finished stage is of size B"),
        (["--budget", "1T", "--end", "XL"], "--end: no finished stage is of size XL"),
        (["--budget", "1T", "--metric", "top1"], "no finished stage has the metric top1"),
        (["--target", "0.99"], "is expected to reach 0.99; the best reaches"),
    ],
)
def test_mistakes_are_named(compt, runs, arguments, says):
    result = compt("design", *runs, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr and "mend:" in result.stderr


def test_the_metrics_that_are_there_are_named(compt, runs):
    result = compt("design", *runs, "--budget", "1T", "--metric", "top1")
    assert "give one of image_to_text_r1, image_to_text_r5" in result.stderr


def test_a_folder_without_a_run_is_named(compt, tmp_path):
    result = compt("design", tmp_path, "--budget", "1T")
    assert result.exit_code == 2
    assert "no ledger here" in result.stderr


def test_a_run_without_a_finished_stage_is_named(compt, tmp_path):
    entry = StageEntry("t", "01-t", "ViT-T-16", 80)
    Ledger(open_place(tmp_path / "ledger.json"), "young", [entry], [], SAMPLES).save()
    result = compt("design", tmp_path, "--budget", "1T")
    assert result.exit_code == 2
    assert "no stage of these runs is finished" in result.stderr
