"""What a job is to do: the files that come along, and those paths that must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ray_compt.config import load_chain
from ray_compt.config.suite_file import load_suite
from ray_compt.config.sweep_file import load_sweep
from ray_compt.config.yaml_io import write_yaml
from ray_compt.errors import UserError
from ray_compt.jobs.work import SUITE, Work, open_work
from tests.cli.small import small_chain

TAUGHT = {"teachers": [{"model": "small"}]}


def _chain(folder: Path, **changes: Any) -> Path:
    content = {**small_chain(), **changes}
    file = folder / "mine.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(write_yaml(content))
    return file


def _sweep(folder: Path, chain: str) -> Path:
    file = folder / "search.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    space, objective = "{train.lr: {choice: [1.0e-3, 2.0e-3]}}", "{metric: zero_shot_top1}"
    file.write_text(f"name: search\nchain: {chain}\nspace: {space}\nobjective: {objective}\n")
    return file


def _unpacked(work: Work, folder: Path) -> Path:
    for name, content in work.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / work.file


def test_a_chain_comes_as_its_author_wrote_it(tmp_path: Path) -> None:
    file = _chain(tmp_path)
    work = open_work(str(file), ["seed=5"])
    assert (work.command, work.name, work.file, work.overrides) == ("train", "tiny", "mine.yaml", ("seed=5",))
    assert work.files == {"mine.yaml": file.read_bytes()}


@pytest.mark.parametrize("name, command", [("digits", "train"), ("digits_quick", "tune")])
def test_a_shipped_file_is_found_by_its_bare_name(name: str, command: str) -> None:
    work = open_work(name)
    assert (work.command, work.name, work.file) == (command, name, f"{name}.yaml")


def test_a_suite_comes_along_in_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "names.txt").write_text("nought\none\n")
    suite = tmp_path / "wide.yaml"
    task = {"name": "digits", "kind": "zero_shot", "data": "builtin:digits/val", "classes": "names.txt"}
    suite.write_text(write_yaml({"name": "wide", "tasks": [task]}))
    monkeypatch.chdir(tmp_path)
    work = open_work(str(_chain(tmp_path, evaluate={"suite": "wide.yaml"})))
    assert work.overrides == (f"evaluate.suite={SUITE}",)
    there = _unpacked(work, tmp_path / "there").parent
    assert load_suite(there / SUITE) == load_suite(suite)
    assert load_chain(there / "mine.yaml", work.overrides).evaluate.suite == SUITE


@pytest.mark.parametrize(
    "below, chain", [("a", "../b/mine.yaml"), (".", "b/mine.yaml"), ("a/c", "../../b/mine")]
)
def test_a_sweep_finds_its_base_chain_where_it_was(tmp_path: Path, below: str, chain: str) -> None:
    base = _chain(tmp_path / "b")
    work = open_work(str(_sweep(tmp_path / below, chain)))
    loaded = load_sweep(_unpacked(work, tmp_path / "there"))
    assert work.command == "tune"
    assert loaded.chain_file.read_bytes() == base.read_bytes()


def test_a_sweep_over_a_shipped_chain_needs_no_copy_of_it(tmp_path: Path) -> None:
    assert list(open_work(str(_sweep(tmp_path, "digits"))).files) == ["search.yaml"]


def test_a_sweep_whose_base_chain_is_absolute_is_refused(tmp_path: Path) -> None:
    base = _chain(tmp_path / "b")
    with pytest.raises(UserError, match="relative to the sweep file") as refused:
        open_work(str(_sweep(tmp_path, str(base))))
    assert refused.value.where == f"{tmp_path / 'search.yaml'}:2"


def _data(train: Any, **more: Any) -> dict[str, Any]:
    return {"data": {**small_chain()["data"], "train": train, **more}}


@pytest.mark.parametrize(
    "changes, key",
    [
        (_data("shards/*.tar"), "data.train"),
        (_data(["/a/0.tar", "1.tar"]), "data.train.1"),
        (_data("/a/0.tar", val="val.tar"), "data.val"),
        (_data("folder:pictures"), "data.train"),
        (_data("torchvision:CIFAR10/train?root=cifar"), "data.train"),
        ({"teacher": {"cache": "kept"}}, "teacher.cache"),
        (
            {"transfer": {"distill": {"teachers": [{"model": "models/a"}]}}},
            "transfer.distill.teachers.0.model",
        ),
    ],
)
def test_a_relative_path_is_refused_with_its_key(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(UserError, match="is relative") as refused:
        open_work(str(_chain(tmp_path, **changes)))
    assert refused.value.message.startswith(f"{key}: ")
    assert str(refused.value.where).startswith(f"{tmp_path / 'mine.yaml'}:")


@pytest.mark.parametrize(
    "changes",
    [
        _data("s3://bucket/{000..009}.tar"),
        _data("file:///a/0.tar"),
        _data(["/a/0.tar", "/a/1.tar"], val=None),
        _data("folder:/pictures"),
        _data("torchvision:CIFAR10/train?root=/data/cifar"),
        {"teacher": {"cache": "/kept"}},
        {"stages": [small_chain()["stages"][0], {**small_chain()["stages"][1], "distill": TAUGHT}]},
    ],
)
def test_what_means_the_same_everywhere_may_pass(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert open_work(str(_chain(tmp_path, **changes))).command == "train"


def test_an_override_is_blamed_for_its_own_path(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        open_work(str(_chain(tmp_path)), ["data.train=shards/0.tar"])
    assert refused.value.where == "--set data.train=shards/0.tar"
