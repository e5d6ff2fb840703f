"""open_clip's own training loader: webdataset, its transform and its tokenizer.

    python -m benchmarks.peers.webdataset_loader SHARDS SAMPLES SIZE CONTEXT BATCH WORKERS

Prints JSON: samples, CPU seconds of this process (and of the loader's workers, where WORKERS is not 0) and wall
seconds, all after a first eighth that fills buffers and caches.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import psutil
from open_clip import SimpleTokenizer, image_transform
from open_clip_train.data import get_wds_dataset


def main() -> None:
    shards, *numbers = sys.argv[1:]
    print(json.dumps(measure(shards, *map(int, numbers))))


def measure(shards: str, samples: int, size: int, context: int, batch: int, workers: int) -> dict[str, float]:
    options = argparse.Namespace(
        train_data=shards,
        train_num_samples=samples,
        train_data_upsampling_factors=None,
        dataset_resampled=False,
        seed=0,
        batch_size=batch,
        workers=workers,
        world_size=1,
    )
    transform = image_transform(size, is_train=True)
    tokenizer = SimpleTokenizer(context_length=context)
    loader = get_wds_dataset(options, transform, is_train=True, tokenizer=tokenizer).dataloader
    batches = iter(loader)
    counted = 0
    for _ in range(max(1, samples // batch // 8)):
        next(batches)
    cpu, wall = _cpu_seconds(), time.perf_counter()
    for images, _ in batches:
        counted += len(images)
    return {"samples": counted, "cpu": _cpu_seconds() - cpu, "wall": time.perf_counter() - wall}


def _cpu_seconds() -> float:
    """Of this process and its children."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    main()
