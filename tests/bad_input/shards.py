"""Shards that cannot be found or read, and samples that cannot be used."""

from __future__ import annotations

import os
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row
from tests.shards import add_member, make_shards, picture


def _eval(
    name: str,
    title: str,
    shards: Callable[[Place], str | Path],
    place: str,
    *says: str,
    options: tuple[str, ...] = (),
) -> Row:
    """`compt eval` of a good model on shards, which reads them as `compt train` does, without Ray."""
    return Row(
        f"shard-{name}", title, lambda at: ["eval", at.model(), "--data", shards(at), *options], place, says
    )


def _archive(name: str, title: str, members: dict[str, bytes], *says: str, mode: str = "w") -> Row:
    def make(at: Place) -> Path:
        return write_tar(at.folder / "a.tar", members, mode)

    return _eval(name, title, make, "a.tar", *says)


def write_tar(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            add_member(archive, name, content)
    return file


def bomb(width: int, height: int) -> bytes:
    """A small PNG that claims a large picture."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _no_files(at: Place) -> Path:
    """Links, devices, a pipe and a folder under the names of pictures."""
    kinds = (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
    )
    with tarfile.open(at.folder / "a.tar", "w") as archive:
        for number, kind in enumerate(kinds):
            member = tarfile.TarInfo(f"{number}.png")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
            add_member(archive, f"{number}.txt", b"a caption")
    return at.folder / "a.tar"


def _huge_member(at: Place) -> Path:
    member = tarfile.TarInfo("a.png")
    member.size = 2**62
    return at.write("a.tar", member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


def _sparse(at: Place) -> Path:
    member = tarfile.TarInfo("a.png")
    member.type, member.size = tarfile.GNUTYPE_SPARSE, 512
    return at.write("a.tar", member.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


def _cut(at: Place) -> Path:
    file = write_tar(at.folder / "a.tar", {"a.png": picture("a"), "a.txt": b"a caption"})
    file.write_bytes(file.read_bytes()[:550])
    return file


def _link(at: Place) -> Path:
    os.symlink("a.tar", at.folder / "a.tar")
    return at.folder / "a.tar"


def _pipe(at: Place) -> Path:
    os.mkfifo(at.folder / "a.tar")
    return at.folder / "a.tar"


def _empty_folder(at: Place) -> Path:
    (at.folder / "shards").mkdir()
    return at.folder / "shards"


def _three(at: Place) -> Path:
    return make_shards(at.folder / "s", 3, per_shard=2)[0].parent


GOOD_TEXT = {"a.txt": b"a caption"}

FINDING = Chapter(
    "Finding shards",
    "The same for `data.train`, `data.val` and `--data`.",
    (
        _eval("none", "No such file", lambda at: at.folder / "a.tar", "data", "no shard at 'a.tar'"),
        _eval(
            "glob",
            "A glob that matches nothing",
            lambda at: at.folder / "*.tar",
            "data",
            "no shard matches '*.tar'",
        ),
        _eval("folder", "A folder without shards", _empty_folder, "data", "no shard matches"),
        _eval(
            "some",
            "Some shards of a pattern missing",
            lambda at: _three(at) / "{00000..00004}.tar",
            "data",
            "2 of the 5 shards",
            "s/00003.tar",
        ),
        _eval(
            "all",
            "All shards of a pattern missing",
            lambda at: at.folder / "{000..004}.tar",
            "data",
            "none of the 5",
        ),
        _eval(
            "million",
            "A pattern of 100 million shards",
            lambda at: at.folder / "{0..99999999}.tar",
            "data",
            "more than 1,000,000",
        ),
        _eval(
            "braces",
            "A pattern of 2,000 nested braces",
            lambda at: "{a," * 2000 + "}" * 2000,
            "data",
            "too many braces",
        ),
        _eval("link", "A link that leads to itself", _link, "a.tar", "symbolic links"),
        _eval("pipe", "A pipe, which would be read for ever", _pipe, "a.tar", "no regular file"),
        _eval("device", "A device without an end", lambda at: "/dev/zero", "/dev/zero", "no regular file"),
        _eval("long", "A name of 300 letters", lambda at: "a" * 300, "a" * 100, "too long"),
        _eval(
            "protocol", "An unknown protocol", lambda at: "foo://bucket/a.tar", "foo://bucket/a.tar", "foo"
        ),
        _eval(
            "http",
            "A server that does not answer",
            lambda at: "http://127.0.0.1:9/a.tar",
            "data",
            "no shard at",
        ),
        _eval(
            "http-glob",
            "A glob on a server that does not answer",
            lambda at: "http://127.0.0.1:9/*.tar",
            "http://127.0.0.1:9/*.tar",
            "cannot be looked up",
        ),
    ),
)

ARCHIVES = Chapter(
    "Archives",
    "Nothing of an archive is ever unpacked to disk, so that names, links and devices in it reach nothing. Damage "
    "costs its own samples only; these shards have no others.",
    (
        _eval("zero-bytes", "A file of no bytes", lambda at: at.write("a.tar", b""), "a.tar", "empty shard"),
        _archive("empty", "An empty archive", {}, "empty shard"),
        _eval(
            "junk",
            "Binary junk",
            lambda at: at.write("a.tar", bytes(range(256)) * 400),
            "a.tar",
            "damaged tar header",
        ),
        _eval(
            "html",
            "A web page",
            lambda at: at.write("a.tar", b"<html>404 Not Found</html>" * 40),
            "a.tar",
            "damaged tar header",
        ),
        _eval("cut", "An archive that was cut off", _cut, "a.tar", "no picture"),
        _archive(
            "gzip",
            "A compressed archive",
            {"a.png": picture("a"), **GOOD_TEXT},
            "compressed with gzip",
            mode="w:gz",
        ),
        _eval("no-files", "Links, devices, pipes and folders for pictures", _no_files, "a.tar", "no picture"),
        _eval("huge-member", "A member that claims 4 EiB", _huge_member, "a.tar", "no picture"),
        _eval("sparse", "A sparse member", _sparse, "a.tar", "empty shard"),
    ),
)

SAMPLES = Chapter(
    "Pictures and captions",
    "A bad sample is left out, counted and named (`bad_samples.jsonl`); only where too many are bad, or all, is it an "
    "error. A picture of more than 67,108,864 pixels (8192 x 8192) is a bad sample: its header is read and nothing is "
    "decoded, so that a picture of 20,000 x 20,000 costs neither memory nor time.",
    (
        _archive("other", "Other files than pictures", {"a.mp3": b"x", "a.csv": b"x"}, "empty shard"),
        _archive("no-pictures", "Captions without pictures", GOOD_TEXT, "no picture"),
        _archive("no-bytes", "Pictures of no bytes", {"a.png": b"", **GOOD_TEXT}, "empty picture"),
        _archive(
            "no-picture",
            "Pictures that are none",
            {"a.png": b"no picture", **GOOD_TEXT},
            "none of the 1 samples",
        ),
        _archive(
            "bomb",
            "A picture of 20,000 x 20,000 in 250 bytes",
            {"a.png": bomb(20_000, 20_000), **GOOD_TEXT},
            "67,108,864 pixels",
        ),
        _archive(
            "no-caption",
            "Pictures without captions",
            {"a.png": picture("a"), "a.json": b"{}"},
            "has a caption",
            "data.caption_field",
        ),
        _archive("blank", "A caption of blanks", {"a.png": picture("a"), "a.txt": b" \n"}, "has a caption"),
        _archive("json", "Captions in broken JSON", {"a.png": picture("a"), "a.json": b"{"}, "has a caption"),
        _archive(
            "deep-json",
            "JSON nested 200,000 deep",
            {"a.png": picture("a"), "a.json": b"[" * 200_000},
            "has a caption",
        ),
        _eval(
            "classes",
            "A class field that no sample has",
            lambda at: _three(at) / "*.tar",
            "--class-field",
            "'categry'",
            options=("--class-field", "categry"),
        ),
    ),
)
