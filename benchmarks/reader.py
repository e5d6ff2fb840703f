"""How fast samples are read: alone in this process, and through the pipeline of a training worker.

    python -m benchmarks.reader SHARDS/*.tar --size 32 --captions 1 --batch 256 --steps 100

The first figure is CPU time of reading, decoding, augmenting and tokenising, start-up left out. The second is
what a training loop would get through Ray Data with the given number of decoding tasks, with the CPU time of
every process that took part; it includes Ray's own work. `--alone` leaves it out, `--json` prints numbers only.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from itertools import islice

from ray_compt.config.schema import DataConfig
from ray_compt.data import Index, Order, Preprocess, make_preprocess, open_index, worker_batches
from ray_compt.data.tasks import DecodeRows, ReadWindows
from ray_compt.data.windows import window_reads

_VOCABULARY = 49408


def main() -> None:
    options = _options()
    data = DataConfig(
        train=options.shards,
        image_size=options.size,
        captions_per_image=options.captions,
        resize=options.resize,
        jpeg_draft=options.jpeg_draft,
    )
    model = {"text_cfg": {"context_length": options.context, "vocab_size": _VOCABULARY}}
    preprocess = make_preprocess(data, model, seed=0)
    with tempfile.TemporaryDirectory() as cache:
        began = time.process_time()
        index = open_index(options.shards, data, cache)
        found = {"index": {"samples": index.samples, "cpu": time.process_time() - began}}
        order = Order(0, index.sizes, options.batch, data.lanes, data.window_batches)
        found["alone"] = _alone(index, order, preprocess, options.steps)
        if not options.alone:
            found["pipeline"] = _pipeline(index, order, preprocess, options.steps, options.readers)
    print(json.dumps(found) if options.json else _text(found))


def _text(found: dict[str, dict[str, float]]) -> str:
    lines = []
    for name, part in found.items():
        details = ", ".join(f"{key} {value:.4g}" for key, value in part.items())
        lines.append(f"{name:9} {part['samples'] / part['cpu']:8.0f} samples/CPU-s ({details})")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", nargs="+")
    parser.add_argument("--size", type=int, default=32, help="side of the pictures, pixels")
    parser.add_argument("--captions", type=int, default=1, help="captions per picture")
    parser.add_argument("--context", type=int, default=14, help="tokens of a caption")
    parser.add_argument("--batch", type=int, default=256, help="samples of a batch")
    parser.add_argument("--steps", type=int, default=100, help="batches to read")
    parser.add_argument("--readers", type=int, help="decoding tasks; by default as many as cores")
    parser.add_argument("--resize", choices=("pillow", "torch"), default="pillow")
    parser.add_argument("--jpeg-draft", action="store_true")
    parser.add_argument("--alone", action="store_true", help="without Ray")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def _alone(index: Index, order: Order, preprocess: Preprocess, steps: int) -> dict[str, float]:
    """The functions of the two kinds of tasks, called directly; the first window warms up caches."""
    import pyarrow as pa

    windows = list(window_reads(index, order, rank=0, world=1, first_step=0, last_step=steps))
    read, decode = ReadWindows(index.source), DecodeRows(preprocess)
    spent = {"read": 0.0, "decode": 0.0}
    samples = 0
    for number, window in enumerate(windows):
        began = time.process_time()
        tables = list(read(pa.table({"window": [window.to_json()]})))
        middle = time.process_time()
        rows = sum(len(decode(table)["key"]) for table in tables)
        if number:
            spent["read"] += middle - began
            spent["decode"] += time.process_time() - middle
            samples += rows
    each = {f"{name}_ms": 1000 * seconds / samples for name, seconds in spent.items()}
    return {"samples": samples, "cpu": sum(spent.values()), **each}


def _pipeline(
    index: Index, order: Order, preprocess: Preprocess, steps: int, readers: int | None
) -> dict[str, float]:
    import psutil
    import ray

    ray.init(num_cpus=4, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    batches = worker_batches(
        index,
        order,
        preprocess,
        rank=0,
        world=1,
        first_step=0,
        last_step=steps,
        reader_cpus=0.25,
        readers=readers,
    )
    began = time.perf_counter()
    for _ in islice(batches, order.window_batches):
        pass
    start, cpu = time.perf_counter(), _cpu_seconds(psutil)
    rows = sum(len(batch.keys) for batch in batches)
    seconds, cpu = time.perf_counter() - start, _cpu_seconds(psutil) - cpu
    ray.shutdown()
    return {"samples": rows, "cpu": cpu, "wall": seconds, "warm_up": start - began}


def _cpu_seconds(psutil) -> float:
    """CPU time of this process and of everything it started."""
    this = psutil.Process()
    times = [process.cpu_times() for process in (this, *this.children(recursive=True))]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    main()
