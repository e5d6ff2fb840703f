"""What this machine can do at most: its rate of plain matrix products."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SIDE = 1024
SECONDS = 2.0
_PROGRAM = f"""
import json, time, torch
a, b = torch.randn({SIDE}, {SIDE}), torch.randn({SIDE}, {SIDE})
for _ in range(3):
    a @ b
count, began = 0, time.perf_counter()
while (seconds := time.perf_counter() - began) < {SECONDS}:
    a @ b
    count += 1
print(json.dumps(count * {SIDE}**3 / seconds))
"""


def gemm_rate(cores: frozenset[int]) -> float:
    """Multiply-accumulates a second of float32 products of 1024 x 1024, one process on all of `cores`."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, "OMP_NUM_THREADS": str(len(cores))},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout))
