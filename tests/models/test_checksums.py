from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from ray_compt.models.checksums import (
    CHECKSUMS_FILE,
    faults,
    file_digest,
    read_checksums,
    seal_holds,
    sealed,
    weights_digest,
    write_checksums,
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    write_checksums(tmp_path, ("a", "b"))
    return tmp_path


def test_whole_files_have_no_faults(folder):
    digests = read_checksums(folder)
    assert digests == {name: file_digest(folder / name) for name in "ab"}
    assert faults(folder, digests) == {}
    assert sorted(file.name for file in folder.iterdir()) == ["a", "b", CHECKSUMS_FILE]


def test_every_fault_is_named(folder):
    digests = read_checksums(folder)
    (folder / "a").write_bytes(b"onf")
    (folder / "b").unlink()
    assert faults(folder, digests) == {"a": "damaged", "b": "missing"}
    (folder / "b").mkdir()
    assert faults(folder, digests)["b"].startswith("cannot be read: ")


@pytest.mark.parametrize(
    ("content", "why"), [("", "Expecting value"), ("[]", "no list"), ('{"a": 1}', "no list")]
)
def test_a_broken_list_is_a_value_error(folder, content, why):
    (folder / CHECKSUMS_FILE).write_text(content)
    with pytest.raises(ValueError, match=why):
        read_checksums(folder)


def test_a_seal_holds_over_json_and_breaks_with_any_value():
    document = {"step": 4, "progress": {"seconds": 0.1, "samples": 3}, "scaler": None}
    stored = json.loads(json.dumps(sealed(document), indent=1))
    assert seal_holds(stored) and seal_holds(document)
    for change in ({"step": 5}, {"progress": {"seconds": 0.1, "samples": 4}}, {"more": 1}, {"checksum": "0"}):
        assert not seal_holds({**stored, **change})


def test_the_digest_of_weights_is_that_of_the_tensors_alone(tmp_path):
    def digest(tensors, **metadata):
        save_file(tensors, tmp_path / "a", metadata)
        return weights_digest(tmp_path / "a")

    one = {"a": torch.arange(6.0), "b": torch.ones(2, dtype=torch.int64)}
    same = digest(one, x="1", y="2")
    assert {digest(dict(reversed(one.items())), **{str(i): "z" for i in range(9)}) for _ in range(9)} == {
        same
    }
    others = [
        {**one, "a": torch.arange(6.0) + 1},
        {**one, "a": torch.arange(6.0).reshape(2, 3)},
        {**one, "b": torch.ones(2, dtype=torch.float64)},
        {"a": one["a"], "c": one["b"]},
    ]
    assert len({same, *map(digest, others)}) == 5
