"""What all stages of a run have in common, from its data as they are."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ray_compt.chain.folder import RunFolder
from ray_compt.chain.inputs import Inputs, open_inputs
from ray_compt.chain.store.key import Surroundings
from ray_compt.chain.store.reuse import surroundings
from ray_compt.report.terminal import Terminal
from ray_compt.storage import open_place
from tests.shards import make_shards


@pytest.fixture
def inputs(run: Path) -> Inputs:
    folder = RunFolder(open_place(run))
    return open_inputs(folder.read_chain(), folder, Terminal(Console(file=io.StringIO())))


def of(inputs: Inputs, run: Path, *, val: Path | None = None, suite: str | None = None) -> Surroundings:
    chain = inputs.chain
    chain = chain.model_copy(
        update={
            "data": chain.data.model_copy(update={"val": str(val) if val else None}),
            "evaluate": chain.evaluate.model_copy(update={"suite": suite}),
        }
    )
    opened = open_inputs(chain, RunFolder(open_place(run)), Terminal(Console(file=io.StringIO())))
    return surroundings(opened)


def test_a_run_without_validation_has_its_training_data(inputs: Inputs) -> None:
    around = surroundings(inputs)
    assert (around.train, around.val, around.suite) == (inputs.train.digest, "", None)


def test_the_validation_split_and_the_suite_count(inputs: Inputs, run: Path, tmp_path: Path) -> None:
    make_shards(tmp_path / "val", n=1, per_shard=4)
    make_shards(tmp_path / "other", n=1, per_shard=5)
    file = tmp_path / "suite.yaml"
    file.write_text("name: mine\ntasks:\n  - {name: more, kind: retrieval, data: elsewhere}\n")
    found = [
        surroundings(inputs),
        of(inputs, run, val=tmp_path / "val"),
        of(inputs, run, val=tmp_path / "other"),
        of(inputs, run, val=tmp_path / "val", suite="core"),
        of(inputs, run, val=tmp_path / "val", suite=str(file)),
    ]
    file.write_text(file.read_text().replace("more", "others"))
    found.append(of(inputs, run, val=tmp_path / "val", suite=str(file)))
    identities = [around.identity() for around in found]
    assert all(identities.count(identity) == 1 for identity in identities)
    assert found[3].suite == {"name": "core"}


def test_the_same_data_elsewhere_are_the_same(inputs: Inputs, run: Path, tmp_path: Path) -> None:
    for name in ("here", "there"):
        make_shards(tmp_path / name, n=1, per_shard=4)
    here, there = (of(inputs, run, val=tmp_path / name) for name in ("here", "there"))
    assert here.identity() == there.identity()
