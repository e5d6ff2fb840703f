"""What a chain asks of the nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_compt.chain.asked import CHECKPOINT_BYTES, MODEL_BYTES, chain_asked
from ray_compt.chain.prepare import prepare
from ray_compt.config import make_chain
from ray_compt.config.schema import Chain
from ray_compt.config.yaml_io import write_yaml
from ray_compt.storage import open_place
from tests.cli.small import small_chain


def _chain(**data: Any) -> Chain:
    content = small_chain()
    content["data"] |= data
    return make_chain(content, (), "chain")


def test_both_splits_are_read_and_the_run_folder_is_written():
    asked = chain_asked(_chain(train=["a.tar", "b.tar"], val="c.tar"), open_place("/runs/x"))
    assert [(one.name, one.spec) for one in asked.reads] == [
        ("data.train", ["a.tar", "b.tar"]),
        ("data.val", "c.tar"),
    ]
    assert [(one.name, one.path) for one in asked.writes] == [("run folder", "/runs/x")]


def test_a_suite_s_data_are_read_too(tmp_path: Path):
    suite = tmp_path / "suite.yaml"
    task = {
        "name": "pets",
        "kind": "knn",
        "data": "pets/*.tar",
        "train": "more/*.tar",
        "class_field": "label",
    }
    suite.write_text(write_yaml({"name": "own", "tasks": [task]}))
    chain = _chain()
    chain = chain.model_copy(update={"evaluate": chain.evaluate.model_copy(update={"suite": str(suite)})})
    read = {one.name: one.spec for one in chain_asked(chain, open_place("/runs/x")).reads}
    assert {"task pets", "task pets: train"} < set(read)
    assert str(read["task pets"]).endswith("pets/*.tar")


def test_outside_teachers_are_read_and_caches_written():
    content = small_chain()
    content["stages"][1] |= {
        "distill": {"weight": 1.0, "teachers": [{"model": "small"}, {"model": "/models/large"}]},
        "teacher": {"cache": "/features"},
    }
    asked = chain_asked(make_chain(content, (), "chain"), open_place("/runs/x"))
    assert [one.spec for one in asked.reads if one.name.startswith("teacher")] == ["folder:/models/large"]
    assert [one.path for one in asked.writes] == ["/runs/x", "/features"]


def test_the_disk_holds_all_models_and_the_largest_one_s_checkpoints():
    chain = _chain()
    plans = prepare(chain)
    small, large = (plan.parameters for plan in plans)
    asked = chain_asked(chain, open_place("/runs/x"), plans)
    assert asked.disk_bytes == MODEL_BYTES * (small + large) + CHECKPOINT_BYTES * large * 3
