"""A place does the same on a disk, in a memory file system of fsspec, and in a real S3."""

from __future__ import annotations

import os
import pickle
import uuid
from pathlib import Path

import pytest

from ray_compt.errors import UserError
from ray_compt.storage import LocalPlace, Place, open_place


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty folder that does not exist yet."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    name = uuid.uuid4().hex
    roots = {"disk": str(tmp_path), "memory": "memory://runs", "s3": "s3://bucket"}
    return open_place(f"{roots[request.param]}/{name}")


def _tree(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_what_is_written_is_read_listed_and_removed(place: Place) -> None:
    assert (place.is_file(), place.is_folder(), place.names()) == (False, False, [])
    (place / "a.txt").write_text("größer")
    (place / "sub" / "b.bin").write_bytes(bytes(range(256)))
    (place / "sub" / "c").write(lambda path: path.write_text("made"))
    assert (place.is_file(), place.is_folder(), place.names()) == (False, True, ["a.txt", "sub"])
    assert (place / "a.txt").read_text() == "größer"
    assert (place / "sub" / "b.bin").read_bytes() == bytes(range(256))
    assert (place / "sub").names() == ["b.bin", "c"]
    assert (place / "sub" / "c").is_file()
    (place / "a.txt").remove()
    (place / "sub").remove()
    (place / "never").remove()
    assert [name for name in place.names() if (place / name).is_file()] == []


def test_a_later_write_replaces_an_earlier_one(place: Place) -> None:
    (place / "a").write_text("first, and longer")
    (place / "a").write_text("second")
    assert (place / "a").read_text() == "second"


def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(place: Place) -> None:
    (place / "a").write_text("old")

    def half(path: Path) -> None:
        path.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        (place / "a").write(half)
    assert (place / "a").read_text() == "old"
    assert place.names() == ["a"]


def test_what_is_not_there_is_not_found(place: Place) -> None:
    with pytest.raises(FileNotFoundError):
        (place / "a").read_bytes()


def test_folders_and_files_come_to_this_machine(place: Place) -> None:
    (place / "model" / "weights").write_bytes(bytes(100_000))
    (place / "model" / "deep" / "x").write_text("x")
    with (place / "model").local() as folder:
        assert _tree(folder) == {"weights": "\0" * 100_000, "deep/x": "x"}
    with (place / "model" / "deep" / "x").local() as file:
        assert file.read_text() == "x"
    assert (place / "model" / "weights").is_file()


def test_a_growing_file_is_pushed_whole_and_gone_on_with(place: Place) -> None:
    copy = place.working_copy("log")
    with (copy.path / "log").open("a") as file:
        file.write("1\n")
        file.flush()
        copy.push()
        assert (place / "log").read_text() == "1\n"
        file.write("2\n")
    (copy.path / "board").mkdir()
    (copy.path / "board" / "events").write_text("e")
    copy.push()
    again = place.working_copy("log", "absent")
    with (again.path / "log").open("a") as file:
        file.write("3\n")
    again.push()
    assert (place / "log").read_text() == "1\n2\n3\n"
    assert (place / "board" / "events").read_text() == "e"


def test_a_place_is_named_as_it_is_opened(place: Place) -> None:
    (place / "a").write_text("x")
    assert open_place(str(place / "a")).read_text() == "x"
    assert (place / "a").name == "a"
    assert open_place(place) is place


def test_a_place_travels_to_another_process(place: Place) -> None:
    (place / "a").write_text("x")
    assert pickle.loads(pickle.dumps(place / "a")).read_text() == "x"  # noqa: S301


def test_ray_gets_what_it_can_write_to(place: Place) -> None:
    from ray.train.v2._internal.execution.storage import get_fs_and_path

    filesystem, path = get_fs_and_path(*place.for_ray())
    filesystem.create_dir(path, recursive=True)
    with filesystem.open_output_stream(f"{path}/a") as stream:
        stream.write(b"x")
    assert (place / "a").read_bytes() == b"x"
    assert pickle.loads(pickle.dumps(filesystem)) == filesystem  # noqa: S301


def test_a_disk_is_synced_before_the_new_content_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("old")
    seen: list[str] = []
    sync = os.fsync

    def spy(file: int) -> None:
        seen.append((tmp_path / "a").read_text())
        sync(file)

    monkeypatch.setattr(os, "fsync", spy)
    (open_place(tmp_path) / "a").write_text("new")
    assert seen == ["old", "new"]


def test_a_local_run_is_read_where_it_lies(tmp_path: Path) -> None:
    place = open_place(tmp_path)
    assert isinstance(place, LocalPlace)
    with place.local() as folder:
        assert folder == tmp_path
    assert place.working_copy().path == tmp_path
    assert str(open_place(f"file://{tmp_path}")) == str(tmp_path)


def test_an_unknown_protocol_is_a_user_error() -> None:
    with pytest.raises(UserError, match="nowhere") as caught:
        open_place("nowhere://bucket/x")
    assert "driver for nowhere://" in str(caught.value.mend)


def test_a_url_without_a_bucket_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no bucket"):
        open_place("s3:///x")
