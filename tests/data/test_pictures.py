from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from ray_compt.data.pictures import MAX_PIXELS, decode_picture
from tests.shards import picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_every_format_becomes_rgb(kind):
    decoded = decode_picture(picture("x", 16, kind))
    assert (decoded.mode, decoded.size) == ("RGB", (16, 16))


@pytest.mark.parametrize(
    "mode,kind",
    [
        ("L", "PNG"),
        ("LA", "PNG"),
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("1", "PNG"),
        ("I;16", "PNG"),
        ("CMYK", "JPEG"),
    ],
)
def test_every_mode_becomes_rgb(mode, kind):
    buffer = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000).save(buffer, kind)
    else:
        Image.open(io.BytesIO(picture("x", 8))).convert(mode).save(buffer, kind)
    assert decode_picture(buffer.getvalue()).mode == "RGB"


def test_a_transparent_palette_is_read_without_a_warning(recwarn):
    palette = Image.open(io.BytesIO(picture("x", 8))).quantize(16)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=bytes(range(16)))
    assert decode_picture(buffer.getvalue()).mode == "RGB"
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_is_refused(kind):
    content = picture("x", 64, kind)
    with pytest.raises(Exception, match=r".+"):
        decode_picture(content[: len(content) * 2 // 3])


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"]
)
def test_what_is_no_picture_is_refused(content):
    with pytest.raises(OSError, match="cannot identify"):
        decode_picture(content)


def bomb(width, height):
    """A small PNG that claims a large picture."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(20_000, 20_000), (9_000, 9_000), (2_000_000_000, 1)])
def test_a_picture_too_large_is_refused_before_it_is_decoded(size, recwarn):
    tracemalloc.start()
    with pytest.raises((ValueError, Image.DecompressionBombError), match="pixels"):
        decode_picture(bomb(*size))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    assert not recwarn.list


def test_a_wide_picture_below_the_limit_is_read():
    buffer = io.BytesIO()
    Image.new("RGB", (20_000, 20)).save(buffer, "JPEG")
    assert decode_picture(buffer.getvalue()).size == (20_000, 20)
    assert MAX_PIXELS >= 8192 * 8192
