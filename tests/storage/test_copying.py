"""A folder copied between kinds of storage is the same folder, and copies do not disturb each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.storage import Place, open_place
from ray_compt.storage.copying import copy_folder
from tests.s3 import S3, keys

FILES = {"a.txt": b"one", "model.safetensors": b"tensors", "deep/er/b.safetensors": b"more", "deep/c": b""}


def _fill(place: Place) -> None:
    for name, content in FILES.items():
        target = place
        for part in name.split("/"):
            target = target / part
        target.write_bytes(content)


@pytest.mark.parametrize("source", ["s3://bucket/source", "source"])
@pytest.mark.parametrize("target", ["s3://bucket/target", "target"])
def test_everything_arrives_but_what_is_left_out(s3: S3, tmp_path: Path, source: str, target: str) -> None:
    places = [open_place(ref if "://" in ref else tmp_path / ref) for ref in (source, target)]
    _fill(places[0])
    copy_folder(*places, {"a.txt"})
    assert places[1].names() == ["deep", "model.safetensors"]
    with places[1].local() as folder:
        found = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
    assert found == {name: content for name, content in FILES.items() if name != "a.txt"}
    if "://" in target:
        assert not [key for key in keys(s3, "target") if "partial" in key]


def test_on_one_disk_tensors_take_no_room_and_the_rest_may_grow_apart(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    _fill(open_place(source))
    copy_folder(open_place(source), open_place(target))
    assert (source / "model.safetensors").samefile(target / "model.safetensors")
    with (target / "a.txt").open("ab") as file:
        file.write(b" more")
    assert (source / "a.txt").read_bytes() == b"one"
    open_place(target / "model.safetensors").write_bytes(b"other")
    assert (source / "model.safetensors").read_bytes() == b"tensors"
