"""Running the real program on real, tiny chains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import load_file

TIMEOUT_S = 400


def tiny_model(width: int, layers: int = 1, embed_dim: int = 16) -> dict[str, Any]:
    return {
        "embed_dim": embed_dim,
        "vision_cfg": {"image_size": 8, "patch_size": 4, "width": width, "layers": layers, "head_width": 16},
        "text_cfg": {
            "context_length": 10,
            "vocab_size": 49408,
            "width": width,
            "heads": width // 16,
            "layers": layers,
        },
    }


def tiny_chain(folder: Path, *, stages: list[dict[str, Any]], name: str = "tiny", **sections: Any) -> Path:
    """Write a chain file that trains on digits in a few steps; sections are merged into the defaults."""
    chain: dict[str, Any] = {
        "name": name,
        "data": {
            "train": "builtin:digits/train",
            "val": "builtin:digits/val",
            "image_size": 8,
            "lanes": 4,
            "window_batches": 2,
            "class_templates": ["the digit {}"],
        },
        "train": {"global_batch": 64, "lr": 1.0e-3, "warmup_steps": 2, "checkpoint_every": 4},
        "stages": stages,
    }
    for section, values in sections.items():
        chain[section] = {**chain.get(section, {}), **values}
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(chain))  # JSON is YAML.
    return file


@contextmanager
def ray_folder() -> Iterator[str]:
    """A short path for Ray's sockets; removed afterwards."""
    folder = tempfile.mkdtemp(prefix="rc", dir="/tmp")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "ray_compt", *map(str, arguments)]


def environment(ray_dir: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # Ray starts its workers at niceness 15, where anything else on the machine would starve them.
    return {**kept, "RAY_TMPDIR": ray_dir, "RAY_worker_niceness": "0", "COLUMNS": "160"}


def read_token_mode() -> None:
    """Let Ray in this process read from the environment again whether it asks for a token.

    It remembers, and refuses a control store that does otherwise.
    """
    from ray._raylet import Config

    Config.initialize("")


def compt(*arguments: str | Path, timeout: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run `compt ARGUMENTS` to its end, with its own Ray."""
    with ray_folder() as folder:
        return subprocess.run(
            command(*arguments),
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )


def hear_interrupts() -> None:
    """For a child: a shell that starts the tests in the background makes all their processes ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(ready: Callable[[], bool], number: int, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start a `compt` with a Ray of its own, send it a signal once `ready`; returns the ended process.

    Whatever it leaves running is ended too.
    """
    with ray_folder() as ray_dir:
        process = subprocess.Popen(
            command(*arguments),
            env=environment(ray_dir),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_interrupts,
        )
        family: list[psutil.Process] = []
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not ready():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline, "its moment never came"
                time.sleep(0.05)
            family = descendants(process.pid)
            os.kill(process.pid, number)
            process.wait(60)
        finally:
            process.kill()
            end(family or descendants(process.pid))
    return process


def ledger(run: Path) -> dict[str, Any]:
    return json.loads((run / "ledger.json").read_text())


def weights(stage: Path) -> dict[str, torch.Tensor]:
    return load_file(stage / "model.safetensors")


def largest_difference(one: Path, other: Path) -> float:
    """Largest absolute difference of any weight of two stages' models that has a say in what they compute.

    The bias of attention's keys adds the same to all scores of a query, which the softmax takes away: its gradient is
    rounding alone, and AdamW makes steps of it.
    """
    a, b = (_without_key_biases(weights(stage)) for stage in (one, other))
    assert a.keys() == b.keys()
    return max((a[name] - b[name]).abs().max().item() for name in a)


def _without_key_biases(found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Fused biases of queries, keys and values [3 E] lose their second third."""
    fused = {name: tensor for name, tensor in found.items() if name.endswith("in_proj_bias")}
    kept = {name: torch.cat(tensor.chunk(3)[::2]) for name, tensor in fused.items()}
    return {**found, **kept}


def descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def end(processes: list[psutil.Process]) -> None:
    """Kill processes that a test started, and wait for them."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=20)
