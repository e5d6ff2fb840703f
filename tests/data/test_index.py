from __future__ import annotations

import json
import pickle
import tarfile

import fsspec
import pytest

from ray_compt.data import open_index, scan, shard_table, webdataset
from ray_compt.data.samples import BadSample
from ray_compt.errors import UserError
from tests.shards import add_member, break_header, captions_of, cut_after, make_shards, picture, sample_key


def keys(index):
    return [
        raw.key for number, shard in enumerate(index.shards) for raw in index.read(number, 0, shard.samples)
    ]


def reasons(index):
    return {one.key: one.reason for one in index.bad}


def test_every_sample_is_found_and_read(tmp_path, data, cache):
    make_shards(tmp_path, n=3, per_shard=5)
    index = open_index(f"{tmp_path}/{{00000..00002}}.tar", data, cache)
    assert (index.samples, index.sizes, index.bad) == (15, (5, 5, 5), [])
    assert index.class_names == ["cat", "dog"]
    assert keys(index) == [sample_key(shard, i) for shard in range(3) for i in range(5)]
    [raw] = index.read(1, 3, 4)
    key = sample_key(1, 3)
    assert raw.key == key
    assert raw.image == picture(key, 16, "JPEG")
    assert raw.captions == captions_of(key, 3)
    assert raw.label == "dog"


def test_any_run_of_samples_is_the_same_as_reading_all(tmp_path, data, cache):
    make_shards(tmp_path, n=1, per_shard=9)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    everything = list(index.read(0, 0, 9))
    for lo in range(9):
        for hi in range(lo, 10):
            assert list(index.read(0, lo, hi)) == everything[lo:hi]


def test_a_run_of_samples_is_one_request_for_its_bytes_only(tmp_path, data, cache, monkeypatch):
    [path] = make_shards(tmp_path, n=1, per_shard=40)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    asked = []
    original = webdataset.read_ranges

    def counting(filesystem, inner, ranges):
        asked.extend(ranges)
        return original(filesystem, inner, ranges)

    monkeypatch.setattr(webdataset, "read_ranges", counting)
    list(index.read(0, 10, 14))
    assert len(asked) == 1
    assert asked[0][1] - asked[0][0] < path.stat().st_size / 5


def test_parts_that_lie_far_apart_are_read_apart(tmp_path, data, cache):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for i in range(3):
            add_member(archive, f"{i}.png", picture(str(i)))
            add_member(archive, f"{i}.bin", bytes(200_000))
        for i in range(3):
            add_member(archive, f"{i}.txt", b"text %d" % i)
    index = open_index(str(tmp_path / "a.tar"), data, cache)
    assert [(raw.key, raw.captions) for raw in index.read(0, 0, 3)] == [
        (str(i), [f"text {i}"]) for i in range(3)
    ]
    assert [raw.image for raw in index.read(0, 0, 3)] == [picture(str(i)) for i in range(3)]


def test_bad_samples_cost_only_themselves(tmp_path, data, cache):
    broken = {
        sample_key(0, 1): "no_picture",
        sample_key(0, 2): "no_caption",
        sample_key(1, 0): "empty",
        sample_key(1, 1): "garbage",
    }
    paths = make_shards(tmp_path, n=2, per_shard=4, broken=broken)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert reasons(index) == {
        sample_key(0, 1): "no picture",
        sample_key(0, 2): "no caption",
        sample_key(1, 0): "empty picture",
    }
    assert {one.shard for one in index.bad} == {str(path) for path in paths}
    # Garbage is only found out by decoding.
    assert index.samples == 5
    assert index.bad_samples == 3


def test_a_broken_header_costs_its_own_sample(tmp_path, data, cache):
    [path] = make_shards(tmp_path, n=1, per_shard=6)
    break_header(path, f"{sample_key(0, 2)}.webp")
    index = open_index(str(path), data, cache)
    assert keys(index) == [sample_key(0, i) for i in (0, 1, 3, 4, 5)]
    [bad] = index.bad
    assert bad.key == sample_key(0, 2)
    assert "no picture (damaged tar header" in bad.reason


def test_damage_that_hides_a_whole_sample_is_counted(tmp_path, data, cache):
    [path] = make_shards(tmp_path, n=1, per_shard=6)
    with tarfile.open(path) as archive:
        starts = [member.offset for member in archive if member.name.startswith(sample_key(0, 2))]
    content = bytearray(path.read_bytes())
    for start in starts:
        content[start : start + 512] = b"\xff" * 512
    path.write_bytes(content)
    index = open_index(str(path), data, cache)
    assert index.samples == 5
    [bad] = index.bad
    assert bad.key == ""
    assert "damaged tar header" in bad.reason


def test_a_truncated_shard_keeps_what_is_whole(tmp_path, data, cache):
    [path] = make_shards(tmp_path, n=1, per_shard=6)
    cut_after(path, f"{sample_key(0, 3)}.jpg")
    index = open_index(str(path), data, cache)
    assert index.samples == 3
    [bad] = index.bad
    assert bad.key == sample_key(0, 3)
    assert "the archive ends inside" in bad.reason


def test_sizes_json_tells_how_many_are_missing(tmp_path, data, cache):
    paths = make_shards(tmp_path, n=2, per_shard=6, sizes=True)
    cut_after(paths[1], f"{sample_key(1, 3)}.jpg")
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert index.samples == 9
    assert index.bad_samples == 3
    assert [one.count for one in index.bad] == [1, 2]
    assert "2 of the 6 samples in sizes.json are missing" in index.bad[1].reason


def test_a_missing_end_mark_is_reported_unless_the_count_is_right(tmp_path, data, cache):
    paths = make_shards(tmp_path, n=2, per_shard=6)
    content = paths[0].read_bytes().rstrip(b"\0")
    paths[0].write_bytes(content + bytes(-len(content) % 512))
    assert "no end mark" in open_index(str(paths[0]), data, cache).bad[0].reason
    (tmp_path / "sizes.json").write_text(json.dumps({"00000.tar": 6}))
    assert open_index(str(paths[0]), data, cache).bad == []


def test_an_empty_shard_among_others_is_named_and_left_out(tmp_path, data, cache):
    paths = make_shards(tmp_path, n=3, per_shard=4)
    paths[0].write_bytes(b"")
    with tarfile.open(paths[1], "w"):
        pass
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert [shard.path for shard in index.shards] == [str(paths[2])]
    assert index.bad == [BadSample("", str(path), "empty shard") for path in paths[:2]]


def test_a_key_that_occurs_twice_is_used_once(tmp_path, data, cache):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for text in (b"first", b"second"):
            add_member(archive, "x.png", picture(text.decode()))
            add_member(archive, "x.txt", text)
    index = open_index(str(tmp_path / "a.tar"), data, cache)
    [raw] = index.read(0, 0, 1)
    assert (raw.captions, raw.image) == (["first"], picture("first"))
    assert "twice" in index.bad[0].reason


def test_names_that_point_elsewhere_are_only_names(tmp_path, data, cache):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for key in ("/etc/x", "../../x", "a/./b"):
            add_member(archive, f"{key}.png", picture(key))
            add_member(archive, f"{key}.txt", b"text")
        add_member(archive, "._x.png", b"a Mac's shadow")
    before = sorted(tmp_path.rglob("*"))
    index = open_index(str(tmp_path / "a.tar"), data, cache)
    assert keys(index) == ["/etc/x", "../../x", "a/./b"]
    assert (
        sorted(path for path in tmp_path.rglob("*") if cache not in path.parents and path != cache) == before
    )


def test_long_lists_of_bad_samples_are_summed_up(tmp_path, data, cache):
    broken = {sample_key(0, i): "no_caption" for i in range(150)}
    make_shards(tmp_path, n=1, per_shard=152, size=4, broken=broken)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert index.bad_samples == 150
    assert len(index.bad) == 101


@pytest.mark.parametrize(
    "broken,message,mend",
    [
        ("no_caption", "none of the 4 pictures has a caption", "caption_field"),
        ("no_picture", "no usable", "KEY.jpg"),
    ],
)
def test_nothing_usable_is_a_user_error(tmp_path, data, cache, broken, message, mend):
    make_shards(
        tmp_path, n=2, per_shard=2, broken={sample_key(s, i): broken for s in range(2) for i in range(2)}
    )
    with pytest.raises(UserError, match=message) as caught:
        open_index(f"{tmp_path}/*.tar", data, cache)
    assert mend in caught.value.mend


@pytest.mark.parametrize("content,message", [(b"", "empty shard"), (b"hello" * 999, "no usable")])
def test_only_empty_or_foreign_files_are_a_user_error(tmp_path, data, cache, content, message):
    (tmp_path / "a.tar").write_bytes(content)
    with pytest.raises(UserError, match=message):
        open_index(str(tmp_path / "a.tar"), data, cache)


def test_a_compressed_shard_says_so(tmp_path, data, cache):
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        add_member(archive, "x.txt", b"x")
    with pytest.raises(UserError, match="gzip"):
        open_index(str(tmp_path / "a.tar"), data, cache)


def test_shards_are_walked_once(tmp_path, data, cache, monkeypatch):
    paths = make_shards(tmp_path, n=2, per_shard=3, broken={sample_key(0, 0): "no_caption"})
    seen = []
    first = open_index(
        f"{tmp_path}/*.tar", data, cache, on_progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]

    def never(*_, **__):
        raise AssertionError("walked again")

    monkeypatch.setattr(scan, "index_shard", never)
    assert open_index(f"{tmp_path}/*.tar", data, cache) == first
    monkeypatch.undo()
    walked = []
    monkeypatch.setattr(
        scan, "index_shard", lambda path, fields: walked.append(path) or ORIGINAL(path, fields)
    )
    make_shards(tmp_path, n=1, per_shard=5)
    changed = open_index(f"{tmp_path}/*.tar", data, cache)
    assert walked == [str(paths[0])]
    assert changed.sizes == (5, 3)
    assert changed.digest != first.digest


ORIGINAL = scan.index_shard


def test_the_digest_tells_data_apart_and_not_places(tmp_path, data, cache):
    for name in ("a", "b"):
        make_shards(tmp_path / name, n=2, per_shard=3)
    make_shards(tmp_path / "c", n=2, per_shard=3, captions=2)
    digests = [open_index(f"{tmp_path}/{name}/*.tar", data, cache).digest for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_other_fields_walk_again(tmp_path, data, cache):
    make_shards(tmp_path, n=1, per_shard=3)
    open_index(f"{tmp_path}/*.tar", data, cache)
    plain = data.model_copy(update={"class_field": None})
    index = open_index(f"{tmp_path}/*.tar", plain, cache)
    assert index.class_names == []
    assert next(index.read(0, 0, 1)).label is None


@pytest.mark.parametrize("harm", ["cut", "noise", "other"])
def test_a_harmed_cache_file_is_made_anew(tmp_path, data, cache, harm):
    make_shards(tmp_path, n=1, per_shard=3)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    [kept], [summary] = cache.glob("*.arrow"), cache.glob("*.summary")
    content = kept.read_bytes()
    kept.write_bytes({"cut": content[:100], "noise": b"x" * 500, "other": b""}[harm])
    # The summary alone is enough to open the index; whoever reads the shard makes the table anew.
    assert open_index(f"{tmp_path}/*.tar", data, cache) == index
    assert len(keys(index)) == 3
    assert kept.read_bytes() == content
    kept.write_bytes(content[:100])
    summary.unlink()
    assert open_index(f"{tmp_path}/*.tar", data, cache) == index
    assert kept.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_not_fatal(tmp_path, data, caplog):
    make_shards(tmp_path, n=2, per_shard=3)
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    index = open_index(f"{tmp_path}/*.tar", data, blocked)
    assert len(keys(index)) == 6
    assert "cannot be kept" in caplog.text


def test_a_reader_that_cannot_see_the_cache_walks_the_shard_itself(tmp_path, data, cache):
    [path] = make_shards(tmp_path, n=1, per_shard=3)
    index = pickle.loads(pickle.dumps(open_index(str(path), data, cache)))  # noqa: S301 (our own)
    for file in cache.iterdir():
        file.unlink()
    webdataset._table.cache_clear()
    assert keys(index) == [sample_key(0, i) for i in range(3)]
    assert len(list(cache.iterdir())) == 1
    make_shards(tmp_path, n=1, per_shard=4)
    for file in cache.iterdir():
        file.unlink()
    webdataset._table.cache_clear()
    with pytest.raises(UserError, match="4 usable samples now, 3 when"):
        keys(index)


def test_a_relative_cache_is_found_from_everywhere(tmp_path, data, monkeypatch):
    make_shards(tmp_path, n=1, per_shard=3)
    monkeypatch.chdir(tmp_path)
    index = open_index("*.tar", data, "cache")
    monkeypatch.chdir("/")
    assert len(keys(index)) == 3
    assert index.source.cache == str(tmp_path / "cache")


def test_the_index_stays_small(tmp_path, data, cache):
    make_shards(tmp_path, n=2, per_shard=60, size=4)
    index = open_index(f"{tmp_path}/*.tar", data, cache)
    assert len(pickle.dumps(index)) < 2000


def test_shards_on_another_file_system(tmp_path, data, cache):
    memory = fsspec.filesystem("memory")
    for path in make_shards(tmp_path, n=2, per_shard=3):
        memory.pipe_file(f"/data/{path.name}", path.read_bytes())
    index = open_index("memory://data/*.tar", data, "memory://cache")
    assert [shard.path for shard in index.shards] == ["memory://data/00000.tar", "memory://data/00001.tar"]
    assert len(keys(index)) == 6
    assert len(memory.glob("/cache/*.arrow")) == 2
    assert open_index("memory://data/*.tar", data, "memory://cache") == index


@pytest.mark.parametrize(
    "name,expected",
    [
        ("a.jpg", ("a", "jpg")),
        ("x/y.z/a.JPG", ("x/y.z/a", "jpg")),
        ("a.seg.png", ("a", "seg.png")),
        (".hidden", (None, "")),
        ("x/.a.jpg", (None, "")),
        ("noending", (None, "")),
        ("./a.txt", ("./a", "txt")),
    ],
)
def test_keys_follow_webdataset(name, expected):
    assert shard_table.split_name(name) == expected
