"""Data that is named by a prefix: folders of classes, torchvision's data sets, the digits."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ray_compt.config.schema import DataConfig
from ray_compt.data import decode_window, evaluation_windows, make_preprocess, open_index
from ray_compt.data.named import named_source
from ray_compt.errors import UserError
from tests.data.test_preprocess import MODEL
from tests.s3 import upload


def _png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (8, 8), level).save(buffer, "PNG")
    return buffer.getvalue()


def _folder(root: Path, **classes: int) -> Path:
    for label, count in classes.items():
        (root / label).mkdir(parents=True)
        for number in range(count):
            (root / label / f"{number}.PNG").write_bytes(_png(number))
        (root / label / "notes.txt").write_text("no picture")
    (root / "README").write_text("no class")
    return root


def _mnist(root: Path, labels: list[int], split: str = "t10k") -> Path:
    """MNIST's files of one split, as torchvision reads them."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.arange(len(labels), dtype=np.uint8).repeat(784).tobytes()
    for part in ("t10k", "train"):
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 2051, len(labels), 28, 28) + pixels
        )
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, len(labels)) + bytes(labels))
    return root


def test_a_folder_of_classes_is_read_in_order(tmp_path, data):
    root = _folder(tmp_path / "pets", dog=3, cat=2)
    index = open_index(f"folder:{root}", data, "unused")
    assert (index.class_names, index.sizes) == (["cat", "dog"], (2, 3))
    found = [raw for shard in range(2) for raw in index.read(shard, 0, index.sizes[shard])]
    assert [raw.key for raw in found] == ["cat/0.PNG", "cat/1.PNG", "dog/0.PNG", "dog/1.PNG", "dog/2.PNG"]
    assert [raw.label for raw in found] == ["cat"] * 2 + ["dog"] * 3
    assert found[0].captions == ["cat"]
    assert index.source.keys(index.shards[1]) == [raw.key for raw in found[2:]]


def test_a_folder_in_an_object_store_is_the_same_data(tmp_path, data, s3):
    root = _folder(tmp_path / "pets", dog=2, cat=1)
    upload(s3, root, "pets")
    here, there = (open_index(f"folder:{place}", data, "unused") for place in (root, "s3://bucket/pets"))
    assert (here.digest, here.class_names) == (there.digest, there.class_names)
    assert next(iter(here.read(1, 1, 2))).image == next(iter(there.read(1, 1, 2))).image


def test_torchvisions_data_are_read_with_their_class_names(tmp_path, data):
    root = _mnist(tmp_path, [7, 0, 3])
    index = open_index(f"torchvision:MNIST/test?root={root}", data, "unused")
    assert index.samples == 3
    assert index.class_names[7] == "7 - seven"
    assert [raw.label for raw in index.read(0, 0, 3)] == ["7 - seven", "0 - zero", "3 - three"]
    picture = Image.open(io.BytesIO(next(iter(index.read(0, 2, 3))).image))
    assert (picture.size, picture.getextrema()) == ((28, 28), (2, 2))


def test_a_broken_picture_of_torchvisions_is_one_bad_sample(tmp_path, data):
    classes = _folder(tmp_path / "eurosat" / "2750", Forest=2, River=1)
    (classes / "Forest" / "1.PNG").write_bytes(b"no picture")
    index = open_index(f"torchvision:EuroSAT?root={tmp_path}", data, "unused")
    (window,) = evaluation_windows(index, 10)
    batch = decode_window(index, make_preprocess(data, MODEL, seed=0), window)
    assert batch.label == ["Forest", "River"]
    assert [bad.key for bad in batch.bad] == ["00000001"]


@pytest.mark.parametrize(
    "spec, message",
    [
        ("folder:", "names no folder"),
        ("folder:/nowhere", "no such folder"),
        ("torchvision:MNIST/test", "does not say which data set, and where it lies"),
        ("torchvision:?root=/x", "does not say which data set"),
        ("torchvision:MNST/test?root=/x", "did you mean"),
        ("torchvision:MNIST/test?root=/nowhere", "is not in /nowhere"),
        ("torchvision:MNIST/val?root=/nowhere", "no split 'val'"),
        ("torchvision:EuroSAT/test?root=/nowhere", "no splits"),
        (["folder:/x", "a.tar"], "is in a list with other data"),
        ("builtin:letters", "unknown built-in data"),
    ],
)
def test_a_name_that_says_nothing_is_refused(data, spec, message):
    with pytest.raises(UserError) as caught:
        open_index(spec, data, "unused")
    assert message in str(caught.value) and caught.value.mend


@pytest.mark.parametrize("missing", ["classes", "pictures"])
def test_a_folder_without_classes_or_pictures_is_refused(tmp_path, data, missing):
    root = tmp_path / "pets"
    (root / "cat" if missing == "pictures" else root).mkdir(parents=True)
    with pytest.raises(UserError, match="no class folders" if missing == "classes" else "1 of 1 classes"):
        open_index(f"folder:{root}", data, "unused")


def test_shards_are_not_named(tmp_path):
    assert named_source("a/{0..9}.tar") is None
    assert named_source(["s3://b/0.tar", "c.tar"]) is None


@pytest.mark.parametrize("samples", [1, 5, 30, 39, 40, 100])
def test_a_part_is_spread_over_all_of_the_data(tmp_path, samples):
    root = _folder(tmp_path / "many", **{f"class{number:02d}": 4 for number in range(10)})
    index = open_index(f"folder:{root}", DataConfig(train="x"), "unused")
    windows = list(evaluation_windows(index, 7, samples))
    taken = [(shard, row) for window in windows for shard, lo, hi in window.parts for row in range(lo, hi)]
    assert len(taken) == len(set(taken)) == min(samples, 40)
    assert taken == sorted(taken)
    assert len({shard for shard, _ in taken}) >= min(samples, 10)
