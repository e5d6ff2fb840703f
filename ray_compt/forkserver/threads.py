"""Threads of a process that had torch before Ray told it how many CPUs it has."""

from __future__ import annotations

import os


def use_assigned_threads() -> None:
    """Let torch use as many threads as Ray has assigned CPUs to this process (`OMP_NUM_THREADS`)."""
    import torch

    if (count := os.environ.get("OMP_NUM_THREADS", "")).isdigit() and int(count):
        torch.set_num_threads(int(count))
