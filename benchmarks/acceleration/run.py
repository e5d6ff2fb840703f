"""Training cells in several processes, each on one core, sources before what starts from them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context, parent_process
from threading import Thread

import torch

from benchmarks.acceleration.cell import Cell
from benchmarks.acceleration.results import Result, Results, score
from benchmarks.acceleration.training import Bench, train_cell


def train_missing(
    bench: Bench, cells: Iterable[Cell], results: Results, *, jobs: int, deadline: float
) -> bool:
    """Train what has no result yet, or whose model is needed and not there; True where all is done.

    Args:
        jobs: processes, of one thread each.
        deadline: `time.monotonic()` after which nothing new is begun.
    """
    missing = _missing(bench, cells, results)
    running: dict[Future[Result], Cell] = {}
    with ProcessPoolExecutor(jobs, get_context("spawn"), _begin) as pool:
        while missing or running:
            for cell in [
                cell for cell in missing if cell.source is None or bench.folder(cell.source).exists()
            ]:
                if time.monotonic() < deadline and len(running) < jobs:
                    missing.remove(cell)
                    running[pool.submit(train_cell, bench, cell)] = cell
            if not running:
                return False
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                cell, measured = running.pop(future), future.result()
                if cell not in results:
                    results.add(cell, measured)
                _print(cell, measured)
    return True


def _begin() -> None:
    """One thread for torch, and an end when the parent ends, in the middle of a training too."""
    torch.set_num_threads(1)
    parent = parent_process()
    assert parent is not None
    Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def _missing(bench: Bench, cells: Iterable[Cell], results: Results) -> list[Cell]:
    needed = {past: None for cell in cells if cell not in results for past in cell.lineage()}
    return [cell for cell in needed if cell not in results or not bench.folder(cell).exists()]


def _print(cell: Cell, measured: Result) -> None:
    setting = {key: value for key, value in cell.to_json().items() if key not in ("size", "epochs", "source")}
    found = f"{100 * score(measured['metrics']):5.1f}  {measured['seconds']:6.0f} s  {cell.path}"
    print(f"{found}  {' '.join(f'{key}={value}' for key, value in setting.items())}", flush=True)
