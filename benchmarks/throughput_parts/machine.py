"""What this machine can do at most: its rate of plain matrix products."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SECONDS = 2.0
_PROGRAM = """
import json, sys, time, torch
gpu = sys.argv[1] == "gpu"
side, device, dtype = (8192, "cuda", torch.bfloat16) if gpu else (1024, "cpu", torch.float32)
wait = torch.cuda.synchronize if gpu else lambda: None
a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
for _ in range(3):
    a @ b
wait()
count, began = 0, time.perf_counter()
while (seconds := time.perf_counter() - began) < float(sys.argv[2]):
    a @ b
    wait()
    count += 1
print(json.dumps(count * side**3 / seconds))
"""


def gemm_rate(cores: frozenset[int], *, gpu: bool = False) -> float:
    """Multiply-accumulates a second of plain matrix products, one process on all of `cores`.

    float32 products of 1024 x 1024, or on a GPU bfloat16 ones of 8192 x 8192.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "gpu" if gpu else "cpu", str(SECONDS)],
        env={**os.environ, "OMP_NUM_THREADS": str(len(cores))},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout))
