"""What single parts of training cost, in CPU time of this process, so that a busy machine hardly matters.

    OMP_NUM_THREADS=1 python -m benchmarks.costs [tokens] [text] [step]

tokens: a caption, open_clip's tokenizer against ours. text: forward and backward of a batch with captions padded to 77
tokens, cut to the longest, and in groups of like lengths. step: a whole optimizer step of a bare torch loop against
ours under DeepSpeed, on one worker.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.throughput_parts.setting import FULL, QUICK, Setting
from benchmarks.throughput_parts.shards import caption

REPEATS = 7
END = 49407


def main() -> None:
    torch.set_num_threads(1)
    parts = {"tokens": tokens, "text": text, "step": step}
    for name in sys.argv[1:] or parts:
        parts[name]()


def cpu_ms(work: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median CPU milliseconds of a call, after one that warms up."""
    work()
    found = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        found.append(1000 * (time.process_time() - began))
    return statistics.median(found)


def tokens() -> None:
    from open_clip import SimpleTokenizer

    from ray_compt.models.word_tokenizer import WordTokenizer

    draw = np.random.default_rng(0)
    captions = [caption(draw) for _ in range(500)]
    for kind in (SimpleTokenizer, WordTokenizer):
        tokenizer = kind(context_length=77)
        took = cpu_ms(lambda tokenizer=tokenizer: [tokenizer([one]) for one in captions])
        print(f"tokens: {kind.__name__:16} {1000 * took / len(captions):6.1f} CPU-us a caption")


def text() -> None:
    from ray_compt.models import short_text
    from ray_compt.train.student import Student

    for name, setting, pictures, captions in (
        ("quick", QUICK, 32, 1),
        ("quick", QUICK, 32, 7),
        ("full", FULL, 16, 7),
    ):
        student = Student(setting.model, (), 0)
        images = torch.randn(pictures, 3, setting.image_size, setting.image_size)
        padded = _captions(pictures * captions, setting.context)
        ends = padded.argmax(-1)
        ways = {
            "padded": padded,
            "cut to the longest": padded[:, : int(ends.max()) + 1],
            "in groups": short_text.without_padding(student.clip, padded),
        }
        print(
            f"text: {name}, {captions} captions, mean {ends.float().mean() + 1:.0f} tokens, longest {ends.max() + 1}"
        )
        for way, found in ways.items():
            took = cpu_ms(
                lambda student=student, found=found, images=images: _backward(student(images, found)), 3
            )
            print(f"  {way:20} {took / pictures:7.2f} CPU-ms a sample")


def _captions(count: int, length: int) -> torch.Tensor:
    """Tokens of captions whose lengths are log-normal, median 15, with a tail of long ones."""
    generator = torch.Generator().manual_seed(0)
    words = (0.4 * torch.randn(count, generator=generator) + 2.65).exp().round().clamp(3, length - 2).long()
    found = torch.zeros(count, length, dtype=torch.long)
    for row, ending in zip(found, words):
        row[:ending], row[ending] = 5, END
    return found


def _backward(features: tuple[torch.Tensor, ...]) -> None:
    (features[0].sum() + features[1].sum()).backward()


def step() -> None:
    # Without padding to save, so that only the frame around the model differs.
    setting = replace(QUICK, context=24)
    ours = {f"ZeRO {stage}, kept": _engine_step(setting, stage, keep=True) for stage in (0, 1)}
    ours["ours, one worker"] = _engine_step(setting, 1, keep=False)
    for name, work in {"bare loop": _bare_step(setting), **ours}.items():
        print(f"step: {name:18} {cpu_ms(work, 12):7.1f} CPU-ms")


def _bare_step(setting: Setting) -> Callable[[], None]:
    from open_clip.loss import ClipLoss
    from open_clip.model import CLIP

    model, loss = CLIP(**setting.model, output_dict=True), ClipLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    images = torch.randn(setting.batch, 3, setting.image_size, setting.image_size)
    words = _full_captions(setting)

    def work() -> None:
        optimizer.zero_grad()
        loss(**model(images, words)).backward()
        optimizer.step()

    return work


def _engine_step(setting: Setting, stage: int, *, keep: bool) -> Callable[[], None]:
    """Our step at a ZeRO stage; `keep`: also where one worker would do without."""
    from benchmarks.throughput_parts.engine_job import one_worker_job
    from ray_compt.data import Batch
    from ray_compt.train import deepspeed_setup
    from ray_compt.train.engine import build_engine
    from ray_compt.train.step import train_step

    job = one_worker_job(setting, stage, "fp32", "gloo")
    device, original = torch.device("cpu"), deepspeed_setup.zero_stage
    if keep:
        deepspeed_setup.zero_stage = lambda config, world_size: config.zero_stage
    engine = build_engine(deepspeed_setup.import_deepspeed(cpu=True), job, 1, device, None)
    deepspeed_setup.zero_stage = original
    # What stage 0 does on several workers.
    engine.enable_backward_allreduce = keep
    images = torch.randint(
        0, 256, (setting.batch, 3, setting.image_size, setting.image_size), dtype=torch.uint8
    )
    valid = torch.ones(setting.batch, dtype=torch.bool)
    batch = Batch(0, images, _full_captions(setting).unsqueeze(1), valid, [""] * setting.batch)
    return lambda: train_step(engine, job, batch, None, device)


def _full_captions(setting: Setting) -> torch.Tensor:
    words = torch.randint(1, END - 1, (setting.batch, setting.context))
    words[:, -1] = END
    return words


if __name__ == "__main__":
    main()
