"""Our optimizer step on one GPU against a bare torch loop: a ViT-B/16 at 224 pixels in bf16, no Ray, no reading.

    python -m benchmarks.gpu_step [--batch 512] [--steps 16] [--compile] [--profile]

Prints samples a second and the share of the GPU's rate of plain bf16 matrix products (three times the forward pass's
multiply-accumulates, padding counted as work). The bare loop keeps fp32 weights and casts, ours keeps bf16 weights and
fp32 masters in DeepSpeed. `benchmarks.throughput --gpu` measures `compt train` as a whole.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks.peers.bare_loop import rate
from benchmarks.throughput_parts.engine_job import one_worker_job
from benchmarks.throughput_parts.machine import gemm_rate
from benchmarks.throughput_parts.setting import GPU, Setting
from ray_compt.data import Batch
from ray_compt.models import count_macs

SKIPPED, BATCHES, END = 6, 8, 49407
WORDS = (5, 24)


def main() -> None:
    options = _options()
    if not torch.cuda.is_available():
        raise SystemExit("error: PyTorch finds no GPU\n  mend: run it on a machine with one")
    setting = replace(GPU, batch=options.batch, steps=options.steps + SKIPPED, skipped=SKIPPED)
    gemm = gemm_rate(frozenset(os.sched_getaffinity(0)), gpu=True)
    macs = 3 * count_macs(setting.model).forward(1)
    print(f"{torch.cuda.get_device_name()}: {2e-12 * gemm:.0f} TFLOP/s in bf16 products of 8192")
    bare = rate(setting.model, setting.batch, setting.steps, SKIPPED, "cuda", compiled=options.compile)
    print(f"bare loop: {bare:.0f} samples/s, {macs * bare / gemm:.0%} of it", flush=True)
    torch.cuda.empty_cache()
    work = our_step(setting, compiled=options.compile)
    for _ in range(SKIPPED):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(options.steps):
        work()
    torch.cuda.synchronize()
    ours = setting.batch * options.steps / (time.perf_counter() - began)
    print(f"ours: {ours:.0f} samples/s, {macs * ours / gemm:.0%} of it", flush=True)
    if options.profile:
        _profile(work)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--compile", action="store_true", help="both with torch.compile")
    parser.add_argument("--profile", action="store_true", help="where ours spends the GPU's time")
    return parser.parse_args()


def our_step(setting: Setting, *, compiled: bool) -> Callable[[], Any]:
    """A call takes the next step of a fresh engine, on batches that lie in pinned memory."""
    from ray_compt.train.deepspeed_setup import import_deepspeed
    from ray_compt.train.engine import build_engine
    from ray_compt.train.step import train_step

    job = one_worker_job(setting, 1, "bf16", "nccl", compile=compiled)
    device = torch.device("cuda")
    engine = build_engine(import_deepspeed(cpu=False), job, 1, device, None)
    batches = [_batch(setting, number) for number in range(BATCHES)]
    steps = iter(range(job.steps))

    def work() -> None:
        number = next(steps)
        train_step(engine, job, replace(batches[number % BATCHES], step=number), None, device)

    return work


def _batch(setting: Setting, seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    shape = (setting.batch, 3, setting.image_size, setting.image_size)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    text = torch.zeros(setting.batch, 1, setting.context, dtype=torch.int64)
    for row, words in zip(text[:, 0], torch.randint(*WORDS, (setting.batch,), generator=generator).tolist()):
        row[:words] = torch.randint(1, END, (words,), generator=generator)
        row[words] = END
    valid = torch.ones(setting.batch, dtype=torch.bool)
    return Batch(0, images.pin_memory(), text, valid, [""] * setting.batch)


def _profile(work: Callable[[], Any], steps: int = 4) -> None:
    kinds = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=kinds) as profile:
        for _ in range(steps):
            work()
        torch.cuda.synchronize()
    print(profile.key_averages().table(sort_by="self_cuda_time_total", row_limit=30))


if __name__ == "__main__":
    main()
