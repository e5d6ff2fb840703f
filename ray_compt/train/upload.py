"""Ray Train's upload of a checkpoint, with the file that says that it is whole as the last one.

Ray copies a checkpoint's files side by side. Without an order, one that a kill cut off could have its header and lack
half of its tensors, and would be taken for damaged where it is merely not finished.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import ray.train
from ray.train import Checkpoint

from ray_compt.storage import Scratch


def ending_with(name: str) -> Callable[[Checkpoint, str], Checkpoint]:
    """An upload for `ray.train.report` that copies file `name` of a checkpoint after all others."""

    def upload(checkpoint: Checkpoint, folder: str) -> Checkpoint:
        storage = ray.train.get_context().get_storage()
        with Scratch() as apart:
            # Both are folders for temporary files, and so on one file system.
            os.replace(Path(checkpoint.path) / name, apart / name)
            storage.persist_current_checkpoint(checkpoint, folder)
            return storage.persist_current_checkpoint(Checkpoint.from_directory(apart), folder)

    return upload
