"""The limit: a plain torch loop over one batch that lies in memory already. Nothing is read, checked or saved.

    python -m benchmarks.peers.bare_loop CONFIG.json BATCH STEPS SKIPPED

Prints samples a second as JSON. One caption a picture, fp32, AdamW as open_clip's trainer makes it but fused, the
largest logit scale clamped. Threads: OMP_NUM_THREADS.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path

import torch
from open_clip.loss import ClipLoss
from open_clip.model import CLIP


def main() -> None:
    config = json.loads(Path(sys.argv[1]).read_text())
    batch, steps, skipped = map(int, sys.argv[2:])
    print(json.dumps(rate(config, batch, steps, skipped)))


def rate(config: dict, batch: int, steps: int, skipped: int) -> float:
    """Samples a second of steps [skipped, steps)."""
    torch.manual_seed(0)
    model = CLIP(**config, output_dict=True)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.98), eps=1e-6, fused=True)
    loss = ClipLoss()
    side, text = config["vision_cfg"]["image_size"], config["text_cfg"]
    images = torch.randn(batch, 3, side, side)
    tokens = torch.randint(1, text["vocab_size"] - 1, (batch, text["context_length"]))
    began = 0.0
    for step in range(steps):
        if step == skipped:
            began = time.perf_counter()
        optimizer.zero_grad()
        loss(**model(images, tokens)).backward()
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
    return batch * (steps - skipped) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
