"""Running a function on W real processes with gloo between them, W changing from call to call.

A fork server imports torch and DeepSpeed once, so that a fresh world costs a fork, not seconds of imports.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

WORLD_TIMEOUT_S = 180


def run_worlds(function: Callable[..., Any], worlds: list[tuple[int, tuple]]) -> list[Any]:
    """Call `function(*arguments)` in each world in turn; returns rank 0's results in order.

    Args:
        function: a module-level function; what it returns is saved with `torch.save`.
        worlds: (number of workers, arguments) of each call.
    """
    return [run_world(function, size, *arguments) for size, arguments in worlds]


def run_world(function: Callable[..., Any], size: int, *arguments: Any) -> Any:
    """Call `function(*arguments)` on `size` fresh processes; returns rank 0's result."""
    import torch

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.train.preload"])
    with tempfile.TemporaryDirectory() as folder:
        workers = [
            context.Process(target=_serve, args=(rank, size, function, arguments, folder))
            for rank in range(size)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(WORLD_TIMEOUT_S)
        codes = [worker.exitcode for worker in workers]
        for worker in workers:
            worker.kill()
        assert codes == [0] * size, f"exit codes of the workers: {codes}"
        return torch.load(Path(folder) / "result.pt", weights_only=False)


def _serve(rank: int, size: int, function: Callable[..., Any], arguments: tuple, folder: str) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(size))
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/rendezvous",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=120),
    )
    result = function(*arguments)
    if rank == 0:
        torch.save(result, Path(folder) / "result.pt")
    dist.barrier()
    dist.destroy_process_group()
