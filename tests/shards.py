"""Small real WebDataset shards for tests, in img2dataset's layout, whole or broken on purpose."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Fault = Literal["garbage", "cut", "empty", "no_picture", "no_caption"]
FORMATS = (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP"))


def make_shards(
    folder: Path,
    n: int = 3,
    per_shard: int | Sequence[int] = 8,
    *,
    size: int = 16,
    captions: int = 3,
    broken: Mapping[str, Fault] | None = None,
    classes: Sequence[str] = ("cat", "dog"),
    sizes: bool = False,
) -> list[Path]:
    """Write `n` shards 00000.tar, ... of `per_shard` samples (one number for all, or one each); return their paths.

    Args:
        size: side of the pictures; JPEG, PNG and WebP take turns.
        captions: captions in KEY.json's `captions`, the first of them also in KEY.txt.
        broken: what is wrong with which sample, by key (`sample_key`).
        classes: KEY.json's `category`, taking turns.
        sizes: also write sizes.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = [per_shard] * n if isinstance(per_shard, int) else list(per_shard)
    paths = []
    for shard, count in enumerate(counts):
        path = folder / f"{shard:05d}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
            for i in range(count):
                key = sample_key(shard, i)
                fault = (broken or {}).get(key)
                for name, content in _members(key, i, size, captions, classes, fault).items():
                    add_member(archive, name, content)
        paths.append(path)
    if sizes:
        (folder / "sizes.json").write_text(
            json.dumps({path.name: count for path, count in zip(paths, counts)})
        )
    return paths


def sample_key(shard: int, i: int) -> str:
    """The key of sample `i` of a shard, as img2dataset writes it."""
    return f"{shard:05d}{i:04d}"


def captions_of(key: str, count: int) -> list[str]:
    """The captions that `make_shards` gives a sample."""
    return [f"caption {n} of picture {key}" for n in range(count)]


def picture(seed: str, size: int = 16, kind: str = "PNG", mode: str = "RGB") -> bytes:
    """An encoded picture, another one for each seed."""
    bits = np.random.default_rng(list(seed.encode()))
    pixels = bits.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def add_member(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))


def break_header(path: Path, member: str) -> None:
    """Overwrite a member's header, after which tarfile believes the archive to end."""
    with tarfile.open(path) as archive:
        offset = archive.getmember(member).offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 512] = b"\xff" * 512
    path.write_bytes(content)


def cut_after(path: Path, member: str, extra: int = 10) -> None:
    """End the archive `extra` bytes into a member's content."""
    with tarfile.open(path) as archive:
        end = archive.getmember(member).offset_data + extra
    path.write_bytes(path.read_bytes()[:end])


def _members(
    key: str, i: int, size: int, captions: int, classes: Sequence[str], fault: Fault | None
) -> dict[str, bytes]:
    ending, kind = FORMATS[i % len(FORMATS)]
    image = picture(key, size, kind)
    image = {"garbage": b"this is no picture", "cut": image[: len(image) // 2], "empty": b""}.get(
        fault or "", image
    )
    texts = captions_of(key, captions) if fault != "no_caption" else []
    described = {"key": key, "category": classes[i % len(classes)], "captions": texts}
    if texts:
        described["caption"] = texts[0]
    members = {f"{key}.{ending}": image, f"{key}.json": json.dumps(described).encode()}
    if fault == "no_picture":
        del members[f"{key}.{ending}"]
    if texts:
        members[f"{key}.txt"] = texts[0].encode()
    return members
