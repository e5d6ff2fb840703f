"""Names of data sets: what they ask for, and that they are clip_benchmark's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.errors import UserError
from ray_compt.evaluate.clip_benchmark import GROUPS, Request, Task, choose
from ray_compt.evaluate.clip_benchmark.catalogue import NAMES, RETRIEVAL, VTAB_PLUS
from tests.test_architecture import ROOT

PAGE = ROOT / "docs" / "wide_evaluation.md"


def test_vtab_plus_and_the_tasks_are_clip_benchmarks():
    from clip_benchmark.datasets.builder import dataset_collection, get_dataset_default_task

    assert set(VTAB_PLUS) == set(dataset_collection["vtab+"])
    assert set(RETRIEVAL) == set(dataset_collection["retrieval"])
    assert set(GROUPS["imagenets"]) - {"imagenet1k"} == set(dataset_collection["imagenet_robustness"])
    for name in NAMES:
        is_retrieval = get_dataset_default_task(name) == "zeroshot_retrieval"
        assert is_retrieval == (name in RETRIEVAL)


def test_every_name_is_one_that_clip_benchmark_builds():
    import inspect

    from clip_benchmark.datasets import builder

    source = inspect.getsource(builder.build_dataset) + inspect.getsource(builder.build_vtab_dataset)
    families = ("clevr_", "dsprites_", "smallnorb_", "kitti_")
    for name in NAMES:
        short = name.removeprefix("vtab/")
        known = next((family for family in families if short.startswith(family)), short)
        assert f'"{known}"' in source, name


def test_names_groups_and_probes():
    assert choose(["mnist,wds/own", "mnist"]) == [Request("mnist"), Request("wds/own")]
    assert choose(["linear_probe:stl10"]) == [Request("stl10", Task.PROBE)]
    paper = choose(["paper"])
    assert [request.short for request in paper] == [*VTAB_PLUS, "mscoco_captions", "flickr30k"]
    assert all(request.is_webdataset for request in paper)
    # A probe needs classes, which captions are not.
    assert len(choose(["linear_probe:paper"])) == len(VTAB_PLUS)
    assert len(choose(["all", "paper", "retrieval"])) == len(GROUPS["all"])


@pytest.mark.parametrize(
    "word, says",
    [
        ("cifar-10", "did you mean cifar10?"),
        ("vtab/dtd", "wds/vtab/dtd"),
        ("wds/", "'wds/'"),
        ("", "''"),
        ("linear_probe:flickr30k", "captions and no classes"),
        ("sugar_crepe/add_att", "no data set"),
    ],
)
def test_other_names_are_refused(word: str, says: str):
    with pytest.raises(UserError, match=says) as refused:
        choose([word])
    assert refused.value.where.startswith("--datasets")


def test_the_page_lists_every_name():
    text = Path(PAGE).read_text(encoding="utf-8")
    missing = [name for name in NAMES if f"`{name.removeprefix('vtab/')}`" not in text]
    assert not missing
