from __future__ import annotations

import pytest
from pyarrow import fs

from ray_compt.data import filesystem, open_index
from ray_compt.data.filesystem import locate, open_filesystem, read_ranges
from ray_compt.errors import UserError
from tests.shards import make_shards, sample_key


@pytest.fixture
def without_drivers(monkeypatch, tmp_path):
    """fsspec has no driver for s3, and pyarrow's s3 is a folder here."""
    original = filesystem.url_to_fs

    def url_to_fs(url):
        if url.startswith("s3://"):
            raise ImportError("Install s3fs to access S3")
        return original(url)

    monkeypatch.setattr(filesystem, "url_to_fs", url_to_fs)
    store = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(filesystem, "_arrow_filesystem", lambda protocol, bucket: store)


@pytest.mark.usefixtures("without_drivers")
def test_pyarrow_stands_in_where_fsspec_has_no_driver(tmp_path, data, cache):
    make_shards(tmp_path / "bucket", n=2, per_shard=3, sizes=True)
    for pattern in ("s3://bucket/{00000..00001}.tar", "s3://bucket/*.tar"):
        index = open_index(pattern, data, cache)
        assert [shard.path for shard in index.shards] == ["s3://bucket/00000.tar", "s3://bucket/00001.tar"]
        assert index.bad == []
        assert [raw.key for raw in index.read(1, 1, 3)] == [sample_key(1, 1), sample_key(1, 2)]
    with pytest.raises(UserError, match="missing"):
        open_index("s3://bucket/{00001..00002}.tar", data, cache)


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
