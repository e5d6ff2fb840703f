from __future__ import annotations

import os

import pytest
from fsspec.implementations.arrow import ArrowFSWrapper

from ray_compt.data import filesystem
from ray_compt.data.filesystem import locate, open_filesystem, read_ranges
from ray_compt.errors import UserError


def test_pyarrow_stands_in_where_fsspec_has_no_driver(monkeypatch, tmp_path):
    def no_driver(url):
        raise ImportError("Install gcsfs")

    (tmp_path / "x").write_bytes(bytes(range(100)))
    monkeypatch.setattr(filesystem, "url_to_fs", no_driver)
    opened, path = open_filesystem(f"file://{tmp_path}/x")
    assert isinstance(opened, ArrowFSWrapper)
    assert read_ranges(opened, path, [(3, 5), (90, 92)]) == [bytes([3, 4]), bytes([90, 91])]


def test_a_protocol_that_nobody_knows_is_a_user_error(monkeypatch):
    with pytest.raises(UserError, match="nowhere") as caught:
        open_filesystem("nowhere://bucket/x")
    assert caught.value.mend

    def no_driver(url):
        raise ImportError

    monkeypatch.setattr(filesystem, "url_to_fs", no_driver)
    with pytest.raises(UserError, match="nowhere") as caught:
        open_filesystem("nowhere://bucket/x")
    assert "driver for nowhere://" in caught.value.mend


def test_places_are_looked_up(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert (locate(str(tmp_path / "x")).exists, locate(str(tmp_path / "x")).size) == (True, 3)
    assert locate(str(tmp_path)).is_folder
    assert not locate(str(tmp_path / "y")).exists
    assert locate(f"file://{tmp_path}/x").url == str(tmp_path / "x")


def test_ranges_are_read(tmp_path):
    (tmp_path / "x").write_bytes(bytes(range(100)))
    opened, path = open_filesystem(str(tmp_path / "x"))
    assert read_ranges(opened, path, [(3, 5)]) == [bytes([3, 4])]
    assert read_ranges(opened, path, [(3, 5), (90, 92), (7, 7)]) == [bytes([3, 4]), bytes([90, 91]), b""]


def test_a_list_of_a_folder_tells_what_looking_up_each_tells(tmp_path, monkeypatch):
    (tmp_path / "0.tar").write_bytes(b"12345")
    (tmp_path / "1.tar").symlink_to(tmp_path / "0.tar")
    (tmp_path / "3.tar").mkdir()
    (tmp_path / "other").touch()
    urls = [f"{tmp_path}/{number}.tar" for number in (4, 3, 0, 1)]
    monkeypatch.setattr(filesystem, "WORTH_LISTING", 1)
    assert filesystem.locate_all(urls) == [filesystem.locate(url) for url in urls]
    monkeypatch.chdir(tmp_path)
    assert filesystem.locate_all(["0.tar", "file://" + urls[1]]) == [
        filesystem.locate(url) for url in ("0.tar", "file://" + urls[1])
    ]
    assert not filesystem.locate_all(["nowhere/0.tar"])[0].exists
    os.mkfifo(tmp_path / "5.tar")
    with pytest.raises(UserError, match="no regular file"):
        filesystem.locate_all(["5.tar"])
