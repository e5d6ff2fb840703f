"""Samples a second of `compt train` against open_clip's own trainer and against a bare torch loop.

    python -m benchmarks.throughput [--quick | --gpu] [--compile] [--json OUT] [--data DIR] [--only PART ...]

All contenders train the same model in fp32 on the same shards, pictures, captions (one a picture: open_clip's trainer
knows no more) and global batch, on the same cores, in turns; with `--gpu` a ViT-B/16 in bf16 on one GPU. Captions
of 5 to 18 words are padded to open_clip's 77 tokens; ours leaves padding out, so that `--context 24`, which has hardly
any, shows the rest alone. It needs the extra `benchmarks`. What is measured:

- `ratio_vs_open_clip_train`, `ratio_vs_bare_loop`: samples a second of ours over theirs, of runs beside each other;
  ours with 1 and 2 workers, the figure being that of the faster count. The bare loop reads no data.
- `loader_ratio_vs_webdataset`: samples a CPU second of reading to tensors in one process; `delivered` beneath it
  counts all processes that bring them to a training loop.
- `teacher_overhead`: time of a stage with a teacher over the same stage without, beside the MACs' own ratio.
- `first_step_s` from the command to the end of the first step, `peak_rss` of a training process, `gemm_share`: of
  the multiply-accumulates that plain matrix products reach on these cores.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.throughput_parts import teacher
from benchmarks.throughput_parts.loader import compare_loaders
from benchmarks.throughput_parts.machine import gemm_rate
from benchmarks.throughput_parts.setting import FULL, GPU, QUICK, Setting
from benchmarks.throughput_parts.shards import make_shards
from benchmarks.throughput_parts.spread import Spread, ratio, spread
from benchmarks.throughput_parts.trainers import Ground, Run, bare_loop, open_clip_train, ours
from ray_compt.models import count_macs

PARTS = ("trainers", "loader", "teacher")
OURS, OPEN_CLIP, BARE = "ours, {} workers", "open_clip_train", "bare loop"
WORKERS = (1, 2)
LOADER_SAMPLES = {True: 2_000, False: 10_000}


def main() -> None:
    options = _options()
    setting = GPU if options.gpu else QUICK if options.quick else FULL
    setting = replace(
        setting,
        context=options.context or setting.context,
        repeats=options.repeats or setting.repeats,
        compiled=options.compile,
    )
    cores = frozenset(sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory(prefix="throughput") as name:
        ground = _ground(Path(name), setting, options.data, cores)
        report: dict[str, Any] = {"quick": options.quick, "cores": len(cores), "setting": vars(setting)}
        report["gemm_macs_per_s"] = gemm_rate(cores, gpu=setting.gpu)
        if "trainers" in options.only:
            report |= _trainers(ground, report["gemm_macs_per_s"])
        if "loader" in options.only:
            report |= _loader(ground, LOADER_SAMPLES[options.quick])
        if "teacher" in options.only:
            report |= _teacher(
                ground, WORKERS[:1] if options.quick else WORKERS, 1 if options.quick else None
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true", help="a smaller model, fewer and shorter runs")
    which.add_argument("--gpu", action="store_true", help="a ViT-B/16 at 224 pixels in bf16 on one GPU")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--repeats", type=int, metavar="N", help="alternating runs")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write everything measured to this file")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="train on its *.tar instead of made-up shards"
    )
    parser.add_argument("--cores", type=int, help="cores that all contenders share; by default all")
    parser.add_argument("--context", type=int, help="tokens of a caption; fewer mean less padding to save")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure")
    return parser.parse_args()


def _ground(folder: Path, setting: Setting, data: Path | None, cores: frozenset[int]) -> Ground:
    if data is None:
        shards = make_shards(
            folder / "shards", shards=setting.shards, samples=setting.samples, side=setting.stored
        )
        return Ground(setting, folder, tuple(shards), cores)
    from ray_compt.config.schema import DataConfig
    from ray_compt.data import open_index

    shards = sorted(data.resolve().glob("*.tar"))
    names = [str(path) for path in shards]
    index = open_index(names, DataConfig(train=names), str(folder / "index"))
    return Ground(replace(setting, samples=index.samples), folder, tuple(shards), cores)


def _trainers(ground: Ground, gemm: float) -> dict[str, Any]:
    counts = WORKERS[:1] if ground.setting.gpu else WORKERS
    contenders: dict[str, Callable[[int], Run]] = {
        **{
            OURS.format(count): lambda number, count=count: ours(ground, f"ours_{count}_{number}", count)
            for count in counts
        },
        OPEN_CLIP: lambda number: open_clip_train(ground, f"run_{number}"),
        BARE: lambda number: bare_loop(ground),
    }
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for number in range(ground.setting.repeats):
        for name, contender in contenders.items():
            runs[name].append(contender(number))
            print(f"  {name}: {runs[name][-1].rate:.1f} samples/s", flush=True)
    rates = {name: [one.rate for one in found] for name, found in runs.items()}
    found: dict[str, Any] = {
        "samples_per_s": {name: spread(values).to_json() for name, values in rates.items()}
    }
    for key, peer in (("ratio_vs_open_clip_train", OPEN_CLIP), ("ratio_vs_bare_loop", BARE)):
        by_workers = {count: ratio(rates[OURS.format(count)], rates[peer]) for count in counts}
        found[key] = _best(key, by_workers)
    macs = count_macs(ground.setting.model).forward(1)
    shares = {name: spread([3 * macs * rate / gemm for rate in values]) for name, values in rates.items()}
    started = [name for name in runs if name != BARE]
    first = {name: spread([one.first_step for one in runs[name]]) for name in started}
    peaks = {name: spread([one.peak / 2**20 for one in found]) for name, found in runs.items()}
    for title, values in (("gemm_share", shares), ("first_step_s", first), ("peak_rss_mib", peaks)):
        found[title] = {name: value.to_json() for name, value in values.items()}
        _show(title, values)
    return found


def _best(key: str, by_workers: dict[int, Spread]) -> dict[str, Any]:
    """The spread of the count with the best median, which count it is, and all of them."""
    best = max(by_workers, key=lambda count: by_workers[count].median)
    _show(key, {f"{count} workers": value for count, value in by_workers.items()})
    everyone = {str(count): value.to_json() for count, value in by_workers.items()}
    return {**by_workers[best].to_json(), "workers": best, "by_workers": everyone}


def _loader(ground: Ground, samples: int) -> dict[str, Any]:
    found = compare_loaders(ground, ground.setting.repeats, samples)
    _show("loader, samples/CPU-s", vars(found))
    return {"loader_ratio_vs_webdataset": {**found.alone.to_json(), **found.to_json()}}


def _teacher(ground: Ground, workers: tuple[int, ...], repeats: int | None) -> dict[str, Any]:
    found = teacher.teacher_overhead(ground, repeats or ground.setting.repeats, workers)
    macs = teacher.macs_ratio(ground)
    for count, places in found.items():
        _show(f"teacher_overhead, {count} workers (MACs {macs:.3f})", places)
    own = next(iter(found[str(workers[0])].values()))
    return {"teacher_overhead": {**own.to_json(), "macs_ratio": macs, "by_workers": teacher.to_json(found)}}


def _show(title: str, values: dict[str, Spread]) -> None:
    print(title)
    for name, value in values.items():
        print(f"  {name:24} {value}", flush=True)


if __name__ == "__main__":
    main()
