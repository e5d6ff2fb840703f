"""Shards that strangers made to do harm: names that point elsewhere, pictures that claim to be huge."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from ray_compt.chain.bad_samples import BadSamples
from ray_compt.config.schema import DataConfig
from ray_compt.data import open_index
from ray_compt.data.shard_table import index_shard
from ray_compt.storage import open_place
from tests.shards import add_member, picture

OUTSIDE = "harm"
MEBIBYTE = 1 << 20


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A shard whose samples are named after places outside it, one of them without a picture."""
    folder = tmp_path / "shards"
    folder.mkdir()
    names = [f"../{OUTSIDE}", f"{tmp_path}/{OUTSIDE}", f"a/../../{OUTSIDE}2"]
    with tarfile.open(folder / "a.tar", "w") as archive:
        for name in names:
            add_member(archive, f"{name}.png", picture(name))
            add_member(archive, f"{name}.txt", b"a caption")
        add_member(archive, f"../{OUTSIDE}-bad.txt", b"a caption without a picture")
    return folder / "a.tar"


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_names_of_an_archive_are_only_names(hostile: Path, tmp_path: Path) -> None:
    """Everything that is written about such samples lies in the two folders that we chose."""
    before = _files(tmp_path)
    index = open_index(str(hostile), DataConfig(train="x"), tmp_path / "run" / "index")
    read = list(index.read(0, 0, index.samples))
    assert [sample.key for sample in read] == [
        f"../{OUTSIDE}",
        f"{tmp_path}/{OUTSIDE}",
        f"a/../../{OUTSIDE}2",
    ]
    (tmp_path / "run" / "01-x").mkdir()
    BadSamples(open_place(tmp_path / "run" / "01-x"), index.bad)
    written = _files(tmp_path) - before
    assert {os.path.dirname(file) for file in written} == {"run/index", "run/01-x"}
    assert not [*tmp_path.rglob(f"{OUTSIDE}*"), *tmp_path.parent.glob(f"{OUTSIDE}*")]
    line = json.loads((tmp_path / "run" / "01-x" / "bad_samples.jsonl").read_text())
    assert line["key"] == f"../{OUTSIDE}-bad"


def test_links_and_devices_of_an_archive_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(picture("secret"))
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE)):
            member = tarfile.TarInfo(f"{number}.png")
            member.type, member.linkname = kind, str(secret)
            archive.addfile(member)
            add_member(archive, f"{number}.txt", b"a caption")
    summary = index_shard(str(tmp_path / "a.tar")).summary
    assert summary.samples == 0
    assert {bad.reason for bad in summary.bad} == {"no picture"}


def _webp(width: int, height: int) -> bytes:
    body = b"\x2f" + struct.pack("<I", (width - 1) | ((height - 1) << 14)) + bytes(2001)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def _animated_webp(width: int, height: int) -> bytes:
    """A canvas of this size with one small frame on it."""
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), color) for color in ("red", "blue")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    content = bytearray(buffer.getvalue())
    canvas = content.index(b"VP8X") + 12
    content[canvas : canvas + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(content)


def _gif(width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HH", width, height) + bytes([0x80, 0, 0]) + bytes(6)
    return head + b"," + struct.pack("<HHHH", 0, 0, width, height) + b"\0\x02\x02\x4c\x01\0;"


def _bmp(width: int, height: int) -> bytes:
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1054, 0, 0, 54) + info + bytes(1000)


def _jpeg(width: int, height: int) -> bytes:
    content = bytearray(picture("x", 16, "JPEG"))
    sizes = content.index(b"\xff\xc0") + 5
    content[sizes : sizes + 4] = struct.pack(">HH", height, width)
    return bytes(content)


BOMBS = {
    "webp": _webp(16_383, 16_383),
    "animated webp": _animated_webp(60_000, 60_000),
    "gif": _gif(65_535, 65_535),
    "bmp": _bmp(2**31 - 1, 2**31 - 1),
    "bmp of 20,000": _bmp(20_000, 20_000),
    "jpeg of 20,000": _jpeg(20_000, 20_000),
    "just too large": _jpeg(8_200, 8_200),
}

DECODE = """
import resource, sys
from pathlib import Path
from ray_compt.data.pictures import decode_picture
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode_picture(file.read_bytes())
        print(file.name, "was decoded")
    except Exception as error:
        if "pixels" not in str(error):
            print(file.name, repr(error))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_huge_pictures_of_every_format_cost_no_memory(tmp_path: Path) -> None:
    """In a process of its own, whose peak of memory tells what the largest of them took."""
    for name, content in BOMBS.items():
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", DECODE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    *surprises, peak_kib = done.stdout.splitlines()
    assert surprises == []
    assert int(peak_kib) * 1024 < 50 * MEBIBYTE


def test_a_small_picture_of_each_kind_would_be_decoded(tmp_path: Path) -> None:
    """The bombs are refused for their size, not because they are nonsense."""
    (tmp_path / "jpeg").write_bytes(_jpeg(16, 16))
    (tmp_path / "webp").write_bytes(_animated_webp(16, 16))
    done = subprocess.run(
        [sys.executable, "-c", DECODE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[:-1] == ["jpeg was decoded", "webp was decoded"]
