"""In which order the files of a checkpoint arrive."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray.train
from ray.train import Checkpoint
from ray.train.v2._internal.execution.storage import StorageContext

from ray_compt.train.upload import ending_with

FILES = {"state.json": b"{}", "weights.safetensors": b"w" * 1000, "moments.safetensors": b"m" * 2000}


class Watched(StorageContext):
    """Ray's own storage; notes which files have arrived after each copy."""

    def persist_current_checkpoint(self, checkpoint: Checkpoint, checkpoint_dir_name: str) -> Checkpoint:
        found = super().persist_current_checkpoint(checkpoint, checkpoint_dir_name)
        self.arrived = [
            *getattr(self, "arrived", []),
            sorted(path.name for path in Path(found.path).iterdir()),
        ]
        return found


def test_the_header_arrives_when_all_else_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    storage = Watched(tmp_path / "store", "stage")
    monkeypatch.setattr(ray.train, "get_context", lambda: SimpleNamespace(get_storage=lambda: storage))
    local = tmp_path / "local"
    local.mkdir()
    for name, content in FILES.items():
        (local / name).write_bytes(content)

    kept = ending_with("state.json")(Checkpoint.from_directory(local), "checkpoint_1")

    assert storage.arrived == [["moments.safetensors", "weights.safetensors"], sorted(FILES)]
    assert Path(kept.path) == tmp_path / "store" / "stage" / "checkpoint_1"
    assert {path.name: path.read_bytes() for path in Path(kept.path).iterdir()} == FILES
