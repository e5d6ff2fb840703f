"""From which chain file a sweep of proposals starts, and how their epochs are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.ledger import Ledger, StageEntry
from ray_compt.chain.proposals import base_chain, write_sweep
from ray_compt.config import dump_chain, load_chain
from ray_compt.config.sweep_file import load_sweep
from ray_compt.config.yaml_io import read_yaml
from ray_compt.errors import UserError
from ray_compt.plan.design import Prediction, Proposal, Stage
from ray_compt.storage import open_place
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.models import Models


def _run(folder: Path, *models: str) -> RunFolder:
    folder.mkdir()
    entries = [StageEntry(f"stage-{model}", f"01-{model}", model, 10) for model in models]
    Ledger(open_place(folder / "ledger.json"), "made", entries, [], 1000).save()
    return RunFolder(open_place(folder))


def _proposal(*stages: tuple[str, float]) -> Proposal:
    path = tuple(Stage(size, epochs) for size, epochs in stages)
    return Proposal(Prediction(path, 0.6, 0.58, 0.62, 2e12), (), ())


def test_the_first_run_with_all_sizes_gives_the_chain(tmp_path: Path):
    folders = [
        _run(tmp_path / "one", "S"),
        _run(tmp_path / "two", "S", "L"),
        _run(tmp_path / "three", "S", "L"),
    ]
    path, names = base_chain(folders, ["S", "L"], None)
    assert path == str(tmp_path / "two" / "chain.yaml")
    assert names == {"S": "stage-S", "L": "stage-L"}


def test_a_chain_file_may_be_given(tmp_path: Path):
    path, names = base_chain([_run(tmp_path / "one", "ViT-T-16")], ["ViT-T-16", "ViT-L-16"], "vit_4")
    assert path.endswith("vit_4.yaml")
    assert {"ViT-T-16", "ViT-L-16"} <= set(names)


@pytest.mark.parametrize("file, where", [(None, "--write"), ("vit_4", "vit_4")])
def test_a_chain_without_a_size_is_refused(tmp_path: Path, file: str | None, where: str):
    with pytest.raises(UserError, match=f"{where}: no chain file here has stages of all of S, XL"):
        base_chain([_run(tmp_path / "one", "S")], ["S", "XL"], file)


def test_epochs_are_written_by_stage(tmp_path: Path):
    target = tmp_path / "sweeps" / "verify.yaml"
    chain = str(tmp_path / "one" / "chain.yaml")
    proposals = [_proposal(("S", 160.0), ("L", 7.5)), _proposal(("L", 80.0))]
    write_sweep(str(target), chain, {"S": "small", "L": "large"}, proposals, {"metric": "r1", "mode": "max"})
    node = read_yaml(target.read_text(), str)
    assert node is not None
    assert node.plain() == {
        "name": "verify",
        "chain": "../one/chain.yaml",
        "chains": {"list": [{"small": 160, "large": 7.5}, {"large": 80}]},
        "objective": {"metric": "r1", "mode": "max"},
        "search": {"algorithm": "grid", "trials": None},
        "seeds": [0],
    }
    assert "#   small 160 -> large 7.5: 60.0% (58.0% to 62.0%), 2e+12 MACs" in target.read_text()


def test_the_file_is_a_sweep(tmp_path: Path):
    (tmp_path / "run").mkdir()
    chain = tmp_path / "run" / "chain.yaml"
    chain.write_text(dump_chain(load_chain("vit_4", ["data.train=x/*.tar", "data.val=y/*.tar"])))
    names = {stage.model: stage.name for stage in load_chain(chain).stages}
    proposals = [
        _proposal(("ViT-S-16", 160.0), ("ViT-L-16", 7.5)),
        _proposal(("ViT-S-16", 80.0), ("ViT-L-16", 12.0)),
    ]
    target = tmp_path / "verify.yaml"
    write_sweep(str(target), str(chain), names, proposals, {"metric": "image_to_text_r1", "mode": "max"})
    plan = check_sweep(load_sweep(target), lambda _: Models((1, 2, 4, 8), lambda *_: None))
    first, second = plan.candidates().candidates
    assert (first.label, second.label) == ("S160-L7.5", "S80-L12")
    assert [stage.epochs for stage in first.chain.stages] == [160, 7.5]


def test_runs_elsewhere_give_no_base_chain():
    folder = RunFolder(open_place("s3://bucket/run"))
    with pytest.raises(UserError, match="give --chain FILE"):
        base_chain([folder], ["S"], None)


@pytest.mark.parametrize("target", ["my sweep.yaml", ".yaml", "s3://bucket/verify.yaml", "x" * 101 + ".yaml"])
def test_a_sweep_is_called_like_its_file(target: str):
    with pytest.raises(UserError, match=r"--write .*: no name of a sweep file"):
        write_sweep(target, "chain.yaml", {}, [], {})


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the sweep file cannot be written"):
        write_sweep(str(tmp_path / "file" / "verify.yaml"), "chain.yaml", {}, [], {})
