"""The limit: a plain torch loop over one batch that lies in memory already. Nothing is read, checked or saved.

    python -m benchmarks.peers.bare_loop CONFIG.json BATCH STEPS SKIPPED [--gpu] [--compile]

Prints samples a second as JSON. One caption a picture, AdamW as open_clip's trainer makes it but fused, the largest
logit scale clamped; fp32 on CPUs, on a GPU fp32 weights with autocast to bf16. Threads: OMP_NUM_THREADS.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path

import torch
from open_clip.loss import ClipLoss
from open_clip.model import CLIP


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("numbers", type=int, nargs=3)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    config = json.loads(options.config.read_text())
    device = "cuda" if options.gpu else "cpu"
    print(json.dumps(rate(config, *options.numbers, device, compiled=options.compile)))


def rate(
    config: dict, batch: int, steps: int, skipped: int, device: str = "cpu", *, compiled: bool = False
) -> float:
    """Samples a second of steps [skipped, steps)."""
    torch.manual_seed(0)
    model = CLIP(**config, output_dict=True).to(device)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), eps=1e-6, fused=True)
    if compiled:
        model.compile()
    gpu = device == "cuda"
    wait = torch.cuda.synchronize if gpu else lambda: None
    loss = ClipLoss()
    side, text = config["vision_cfg"]["image_size"], config["text_cfg"]
    images = torch.randn(batch, 3, side, side, device=device)
    tokens = torch.randint(1, text["vocab_size"] - 1, (batch, text["context_length"]), device=device)
    began = 0.0
    for step in range(steps):
        if step == skipped:
            wait()
            began = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=gpu):
            found = loss(**model(images, tokens))
        found.backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
    wait()
    return batch * (steps - skipped) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
