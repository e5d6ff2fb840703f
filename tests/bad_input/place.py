"""A folder in which a mistake is made: a chain that would train, a run with a finished stage, shards, models."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_compt.config.yaml_io import write_yaml

# Stands for the address of a running Ray, which is not known when a row is written.
CLUSTER = "CLUSTER"
KEPT = "01-small"


def model(width: int, layers: int = 1, **vision: Any) -> dict[str, Any]:
    """An inline configuration, `width` wide in both towers; `vision` overrides keys of the image tower."""
    return {
        "embed_dim": 16,
        "vision_cfg": {
            "image_size": 8,
            "patch_size": 4,
            "width": width,
            "layers": layers,
            "head_width": 16,
            **vision,
        },
        "text_cfg": {"context_length": 10, "width": width, "heads": max(1, width // 16), "layers": 1},
    }


def chain(**changes: Any) -> dict[str, Any]:
    """The content of a chain file of two stages; `changes` are merged into its sections."""
    content: dict[str, Any] = {
        "name": "tiny",
        "data": {"train": "builtin:digits/train", "val": "builtin:digits/val", "image_size": 8, "lanes": 4},
        "train": {"global_batch": 64},
        "stages": [
            {"name": "small", "model": model(16), "epochs": 1},
            {"name": "large", "model": model(32), "epochs": 1},
        ],
    }
    for key, value in changes.items():
        content[key] = {**content.get(key, {}), **value} if isinstance(value, dict) else value
    return content


@dataclass(frozen=True)
class Place:
    """The folder of one row."""

    folder: Path

    @property
    def run(self) -> Path:
        """The run folder of the row's command."""
        return self.folder / "run"

    @property
    def kept(self) -> Path:
        """The folder of the run's finished stage."""
        return self.run / KEPT

    def write(self, name: str, content: str | bytes) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def chain(self, **changes: Any) -> Path:
        """Write a chain file: the good one with `changes`."""
        return self.write("chain.yaml", write_yaml(chain(**changes)))

    def train(self, *arguments: str | Path, **changes: Any) -> list[str | Path]:
        """`compt train` of the good chain with `changes`, in the run folder with the finished stage."""
        return ["train", self.chain(**changes), "--run-dir", self.run, *arguments]

    def train_text(self, text: str | bytes) -> list[str | Path]:
        """`compt train` of a chain file with this very content."""
        return ["train", self.write("chain.yaml", text), "--run-dir", self.run]

    def train_on(self, shards: str | Path | list[str], **data: Any) -> list[str | Path]:
        """`compt train` on these shards, on a running Ray, in a run whose first stage was trained on them."""
        changes = {
            "data": {"train": shards if isinstance(shards, list) else str(shards), "val": None, **data}
        }
        self.finish_a_stage(**changes)
        return self.train("--address", CLUSTER, **changes)

    def finish_a_stage(self, **changes: Any) -> None:
        """Make the run folder: a good chain with `changes`, its first stage done, its second not begun."""
        shutil.rmtree(self.run, ignore_errors=True)
        if changes:
            self._finish(**changes)
        else:
            shutil.copytree(_finished(), self.run)

    def _finish(self, **changes: Any) -> None:
        from ray_compt.chain.folder import open_run
        from ray_compt.config import load_chain

        loaded = load_chain(self.write("finished.yaml", write_yaml(chain(**changes))))
        with open_run(str(self.run), loaded) as (_, ledger):
            entry = ledger.update(ledger.stages[0], state="done", steps=22, samples=22 * 64)
        shutil.copytree(_trained(16), self.run / entry.folder, dirs_exist_ok=True)
        (self.kept / "metrics.jsonl").write_text('{"step": 22, "loss": 4.1}\n')

    def model(self, name: str = "model", width: int = 16) -> Path:
        """Write a stage's folder."""
        return Path(shutil.copytree(_trained(width), self.folder / name))

    def edit(self, file: Path, changes: Mapping[str, Any]) -> Path:
        """Replace keys of a JSON file."""
        file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
        return file


@functools.lru_cache(maxsize=1)
def _finished() -> Path:
    """The run folder of the good chain to copy from, made once."""
    place = Place(_folder())
    place._finish()
    return place.run


@functools.lru_cache(maxsize=4)
def _trained(width: int) -> Path:
    """A stage's folder to copy from, made once."""
    from ray_compt.models import build_model, save_model

    folder = _folder()
    config = model(width)
    state = build_model(config, seed=0).state_dict()
    save_model(folder, state, config, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    return folder


def _folder() -> Path:
    """One that lies there until the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="compt-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
