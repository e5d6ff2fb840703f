"""From a data set's name and a root to batches, through clip_benchmark's `build_dataset`.

clip_benchmark itself fetches what is missing, partly through a shell and into the working directory. Here what is
missing is an error: `NEEDED` names what its readers would otherwise go and fetch although their folder is there.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from ray_compt.errors import UserError
from ray_compt.evaluate.clip_benchmark.catalogue import RETRIEVAL, Request, Task
from ray_compt.storage import is_url

TYPE_FILE, SHARDS_FILE = "dataset_type.txt", "nshards.txt"
MOST_READERS = 4
NEEDED = {
    "imagenetv2": ("ImageNetV2-matched-frequency",),
    "mscoco_captions": ("val2014", "coco_test_karpathy.json"),
    "flickr30k": ("flickr30k_test_karpathy.txt",),
    "flickr8k": ("flickr8k_test_karpathy.txt",),
}
TRAINING_SPLIT = {"pets": "trainval"}


def locate(request: Request, root: str) -> str:
    """The folder or URL of a data set: `root` with its name for `{dataset}`, and for `{dataset_cleaned}` with - for /.

    Raises:
        UserError: there is no such folder, or it lacks something.
    """
    place = root.replace("{dataset}", request.short).replace(
        "{dataset_cleaned}", request.short.replace("/", "-")
    )
    if is_url(place):
        if not request.is_webdataset:
            raise UserError(
                "only WebDatasets can be read from a URL", where=place, mend=f"write wds/{request.name}"
            )
        return place
    needed = () if request.is_webdataset else NEEDED.get(request.name, ())
    missing = next((path for path in map(Path(place).joinpath, ("", *needed)) if not path.exists()), None)
    if missing is not None:
        raise UserError(
            "nothing there", where=str(missing), mend="put the data set there, or give another --dataset-root"
        )
    return place


def task_of(request: Request, place: str) -> Task:
    """The task that was asked for, or the one that the data set is made for."""
    if request.task is not None:
        return request.task
    kind = Path(place) / TYPE_FILE
    if request.is_webdataset and not is_url(place) and kind.is_file():
        stored = kind.read_text(encoding="utf-8").strip().lower()
        return Task.RETRIEVAL if stored == "retrieval" else Task.CLASSIFICATION
    return Task.RETRIEVAL if request.short in RETRIEVAL else Task.CLASSIFICATION


def training_split(request: Request) -> str:
    """What clip_benchmark calls the training pictures of a data set."""
    return TRAINING_SPLIT.get(request.name, "train")


def open_split(request: Request, place: str, task: Task, split: str, transform: Callable[..., Any]) -> Any:
    """clip_benchmark's data set: pictures with class numbers or captions, `classes` and `templates`.

    Raises:
        Exception: whatever its many readers raise where something is missing or damaged.
    """
    from clip_benchmark.datasets.builder import build_dataset

    return build_dataset(
        dataset_name=request.name,
        root=place,
        transform=transform,
        split=split,
        download=False,
        task=task.value,
    )


def batches(dataset: Any, request: Request, place: str, split: str, batch: int) -> DataLoader:
    """A loader as clip_benchmark's command makes it, in the order of the data set."""
    from clip_benchmark.datasets.builder import get_dataset_collate_fn

    readers = _readers(request, place, split)
    if request.is_webdataset:
        return DataLoader(dataset.batched(batch), batch_size=None, shuffle=False, num_workers=readers)
    collate = get_dataset_collate_fn(request.name)
    return DataLoader(dataset, batch_size=batch, shuffle=False, num_workers=readers, collate_fn=collate)


def _readers(request: Request, place: str, split: str) -> int:
    """Processes that decode; a WebDataset's shards cannot be shared by more than there are shards."""
    cores = min(MOST_READERS, len(os.sched_getaffinity(0)))
    if not request.is_webdataset:
        return cores
    # In this process where a second one could only take all shards.
    if is_url(place):
        return 1
    shards = int((Path(place) / split / SHARDS_FILE).read_text())
    return min(cores, shards) if shards > 1 else 0
