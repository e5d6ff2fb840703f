from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.data.tar import Damage, Member, walk
from tests.shards import add_member


def archive(members, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, content in members:
            add_member(tar, name, content)
    return buffer.getvalue()


def walked(content):
    return list(walk(io.BytesIO(content), len(content)))


def contents(content):
    found = [one for one in walked(content) if isinstance(one, Member)]
    return [(one.name, content[one.offset : one.offset + one.size]) for one in found]


def damage(content):
    return [one for one in walked(content) if isinstance(one, Damage)]


LETTERS = st.text("abcäß/. ", min_size=1, max_size=150).filter(lambda name: not name.endswith("/"))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(LETTERS, st.binary(max_size=1500)), max_size=8),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
)
def test_a_whole_archive_reads_as_tarfile_reads_it(members, form):
    content = archive(members, form)
    assert contents(content) == [(name, data) for name, data in members]
    assert damage(content) == []


def test_links_and_folders_are_no_members():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind in (
            ("folder", tarfile.DIRTYPE),
            ("link", tarfile.SYMTYPE),
            ("pipe", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        add_member(tar, "a.jpg", b"abc")
    assert contents(buffer.getvalue()) == [("a.jpg", b"abc")]


FIVE = [(f"{i}.bin", bytes([i]) * 700) for i in range(5)]


@pytest.mark.parametrize("harm", [b"\xff" * 512, b"\0" * 512, b"7" * 512])
def test_a_harmed_header_costs_one_member(harm):
    content = bytearray(archive(FIVE, tarfile.USTAR_FORMAT))
    # Each member takes a header and two blocks.
    content[1536:2048] = harm
    found = contents(bytes(content))
    assert found == [FIVE[0], *FIVE[2:]]
    reasons = [one.reason for one in damage(bytes(content))]
    assert len(reasons) == 1
    assert "damaged tar header" in reasons[0]
    with tarfile.open(fileobj=io.BytesIO(bytes(content))) as tar:
        assert len(tar.getnames()) == 1, "tarfile would have stopped here"


def test_two_harms_are_told_apart():
    content = bytearray(archive(FIVE, tarfile.USTAR_FORMAT))
    for start in (1536, 4608):
        content[start : start + 512] = b"\xff" * 512
    assert [name for name, _ in contents(bytes(content))] == ["0.bin", "2.bin", "4.bin"]
    assert [one.offset for one in damage(bytes(content))] == [1536, 4608]


@pytest.mark.parametrize("length", range(1, 7700, 333))
def test_a_cut_archive_keeps_what_is_whole_and_says_so(length):
    content = archive(FIVE, tarfile.USTAR_FORMAT)[:length]
    assert contents(content) == FIVE[: max(0, (length - 512 - 700) // 1536 + 1)]
    if length < 7680:
        assert len(damage(content)) == 1


def test_archives_joined_together_are_read_through():
    content = archive(FIVE[:2]) + archive(FIVE[2:])
    assert contents(content) == FIVE
    assert damage(content) == []


def test_no_bytes_are_no_damage():
    assert walked(b"") == []


def test_a_file_that_is_no_archive_is_all_damage():
    content = b"hello" * 1000
    assert contents(content) == []
    assert damage(content)


def test_sizes_beyond_the_archive_and_below_zero_end_nothing_but_themselves():
    header = tarfile.TarInfo("huge.bin")
    header.size = 1 << 40
    content = header.tobuf(tarfile.GNU_FORMAT)
    assert [one.name for one in damage(content)] == ["huge.bin"]
    negative = bytearray(archive(FIVE[:1], tarfile.USTAR_FORMAT))
    negative[124:136] = b"\xff" * 12
    negative[148:156] = b"%06o\0 " % (sum(negative[:148]) + 32 * 8 + sum(negative[156:512]))
    assert contents(bytes(negative)) == []
    assert damage(bytes(negative))


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=3000), st.integers(0, 5000), st.binary(max_size=600))
def test_no_bytes_whatever_raise(noise, place, patch):
    walked(noise)
    content = bytearray(archive(FIVE))
    content[place : place + len(patch)] = patch
    walked(bytes(content))
