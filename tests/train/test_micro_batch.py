"""`micro_batch: auto` against a real limit of memory: torch's allocator fails, the workers agree."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ray_compt.data import Order
from ray_compt.errors import UserError
from ray_compt.train.job import StageJob
from ray_compt.train.micro_batch import agree_micro_batch, out_of_memory_explained
from tests.train.tiny import make_job
from tests.train.worlds import run_world

CPU = torch.device("cpu")
SHARE, WORKERS = 16, 2
MEGABYTE = 1 << 20
M_MMAP_THRESHOLD = -3  # of malloc.h
# About 5 MB of activations a sample, 80 MB a share.
MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "patch_size": 2, "width": 64, "layers": 4, "head_width": 16},
    "text_cfg": {"context_length": 6, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}


def _job(folder: Path, bucket: int, micro_batch: int | str = "auto") -> StageJob:
    batch = SHARE * WORKERS
    job = make_job(
        1,
        "fp32",
        str(folder),
        global_batch=batch,
        micro_batch=micro_batch,
        activation_checkpointing=False,
        deepspeed={"zero_optimization": {"reduce_bucket_size": bucket}},
    )
    preprocess = replace(job.preprocess, image_size=32)
    return replace(job, model=MODEL, order=Order(0, (batch,), batch, 4, 1), preprocess=preprocess)


@contextmanager
def _at_most(further: int | None) -> Iterator[None]:
    """Let this process allocate only so many bytes more than it has now; None: as many as it likes."""
    status = Path("/proc/self/status").read_text()
    now = 1024 * int(status.split("VmData:")[1].split()[0])
    before = resource.getrlimit(resource.RLIMIT_DATA)
    if further is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (now + further, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _agree(folder: str) -> dict[str, list[Any]]:
    """What both workers find where only the second is short of memory."""
    import torch.distributed as dist

    rank = dist.get_rank()
    # The C library would keep freed tensors as room to spare; larger ones than this it gives back at once.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 16)

    def everyone(name: str, further: int | None, bucket: int = 1_000_000) -> list[Any]:
        place = Path(folder, name)
        place.mkdir(exist_ok=True)
        try:
            with _at_most(further if rank == 1 else None):
                found: Any = agree_micro_batch(_job(place, bucket), CPU)
        except UserError as error:
            found = str(error)
        answers: list[Any] = [None] * WORKERS
        dist.all_gather_object(answers, found)
        return answers

    return {
        "ample": everyone("ample", None),
        "tight": everyone("tight", 40 * MEGABYTE),
        "again": everyone("tight", MEGABYTE),
        "nothing": everyone("nothing", 300 * MEGABYTE, bucket=1_000_000_000),
    }


def test_a_worker_short_of_memory_decides_for_all_and_it_is_remembered(tmp_path: Path) -> None:
    found = run_world(_agree, WORKERS, str(tmp_path))
    assert found["ample"] == [SHARE, SHARE]
    agreed = found["tight"][0]
    assert agreed in (8, 4, 2, 1)
    assert found["tight"] == [agreed, agreed]
    assert found["again"] == [agreed, agreed], "nothing could be tried within a megabyte"
    assert all("not even one sample fits" in said for said in found["nothing"])
    assert not (tmp_path / "nothing" / "micro_batch.json").exists()


def _run_out(folder: str) -> dict[str, Any]:
    """A step that runs out of memory, with the chain file's own micro-batch and with one that was found."""

    def step(micro_batch: int | str) -> str:
        job = _job(Path(folder), 1_000_000, micro_batch)
        try:
            with out_of_memory_explained(job, SHARE, CPU), _at_most(100 * MEGABYTE):
                torch.ones(200 * MEGABYTE)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return "no error"

    return {
        "own": step(SHARE),
        "auto": step("auto"),
        "then": agree_micro_batch(_job(Path(folder), 1_000_000), CPU),
    }


def test_a_step_out_of_memory_is_explained_and_the_next_start_takes_half(tmp_path: Path) -> None:
    said = run_world(_run_out, 1, str(tmp_path))
    assert said["own"].startswith("UserError") and "train.micro_batch" in said["own"]
    assert said["auto"].startswith("RuntimeError"), "the worker is to be started again"
    assert said["then"] == SHARE // 2
