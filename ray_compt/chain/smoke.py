"""The rehearsal of a chain: every stage at its real size, two steps of a few samples, on one worker.

Growth, teacher, optimizer, checkpoint, evaluation and export all run, so a mistake in the chain file or a
model too large for memory shows before anything is spent.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from ray_compt.chain.folder import run_place
from ray_compt.chain.run import train_chain
from ray_compt.config.schema import Chain, StageConfig
from ray_compt.data.named import named_source
from ray_compt.data.patterns import find_shards
from ray_compt.errors import UserError
from ray_compt.evaluate.result import EVALUATION_FILE
from ray_compt.evaluate.suites import CORE, check_suite
from ray_compt.models.store import WEIGHTS_FILE
from ray_compt.report.card_parts import CARD_FILE
from ray_compt.storage import Place, open_place

SHARD = "smoke.tar"
SMOKE_STEPS = 2
SMOKE_BATCH = 4


def smoke_test(
    chain: Chain, run_dir: str, *, address: str | None, console: Console, verbose: bool = False
) -> dict[str, Any]:
    """Rehearse a chain in `RUN_DIR-smoke`, of which only the ledger and the metrics are kept.

    The first training shard is read where the chain's shards can be found; otherwise made-up samples in the
    same layout stand in for them, and a line says so.

    Returns:
        The rehearsal's ledger.

    Raises:
        UserError: whatever would stop the real run.
    """
    check_suite(chain.evaluate.suite, chain.data)
    folder = open_place(f"{run_place(run_dir)}-smoke")
    folder.remove()
    shards = _shards(chain, folder, console)
    small = smoke_chain(chain, shards, gpus=_gpus(address))
    ledger = train_chain(
        small,
        str(folder),
        step_limit=SMOKE_STEPS,
        address=address,
        console=console,
        verbose=verbose,
        summary=False,
    )
    for stage in ledger["stages"]:
        for needless in ("checkpoints", WEIGHTS_FILE, CARD_FILE, EVALUATION_FILE):
            (folder / stage["folder"] / needless).remove()
    (folder / SHARD).remove()
    console.print(f"smoke test passed: {len(ledger['stages'])} stages of {SMOKE_STEPS} steps each")
    return ledger


def smoke_chain(chain: Chain, shards: list[str] | str, *, gpus: bool) -> Chain:
    """The chain with its models and transfer, but one worker, a tiny batch and `shards` as its data."""
    data = chain.data.model_copy(
        update={"train": shards, "val": shards, "lanes": 1, "window_batches": 1, "max_bad_share": 0.5}
    )
    # A suite file names whole data sets, which a rehearsal has no time for.
    suite = chain.evaluate.suite if chain.evaluate.suite == CORE else None
    evaluate = chain.evaluate.model_copy(update={"batch": SMOKE_BATCH, "suite": suite})
    stages = [_smoke_stage(stage, gpus) for stage in chain.stages]
    return chain.model_copy(update={"data": data, "evaluate": evaluate, "stages": stages})


def _smoke_stage(stage: StageConfig, gpus: bool) -> StageConfig:
    train: dict[str, Any] = {"global_batch": SMOKE_BATCH}
    workers: dict[str, Any] = {"min": 1, "max": 1, "cpus": 1}
    # Nobody wants the features of a rehearsal kept.
    teacher: dict[str, Any] = {"cpus": 1, "replicas": 1, "rows": None, "cache": None}
    if not gpus:
        workers["gpus"] = teacher["gpus"] = 0
        if stage.train.precision == "fp16":
            train["precision"] = "bf16"
        if stage.teacher.precision == "fp16":
            teacher["precision"] = "bf16"
    return stage.model_copy(
        update={
            "train": stage.train.model_copy(update=train),
            "workers": stage.workers.model_copy(update=workers),
            "teacher": stage.teacher.model_copy(update=teacher),
        }
    )


def _shards(chain: Chain, folder: Place, console: Console) -> list[str] | str:
    train = chain.data.train
    if named_source(train) is not None:
        return train
    try:
        return [find_shards(train)[0].url]
    except UserError as error:
        console.print(
            f"! {error.message}: made-up samples stand in for them", style="yellow", highlight=False
        )
    shard = folder / SHARD
    shard.write(lambda path: write_made_up_shard(path, chain, samples=4 * SMOKE_BATCH))
    return [str(shard)]


def write_made_up_shard(path: Path, chain: Chain, *, samples: int) -> None:
    """Write a WebDataset shard of noise pictures, each with as many captions as a step draws."""
    noise = np.random.default_rng(chain.seed)
    with tarfile.open(path, "w") as tar:
        for number in range(samples):
            picture = io.BytesIO()
            pixels = noise.integers(0, 256, (chain.data.image_size, chain.data.image_size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(picture, "JPEG")
            captions = [
                f"made-up picture {number}, caption {k}" for k in range(chain.data.captions_per_image)
            ]
            labels = {chain.data.class_field: f"class {number % 2}"} if chain.data.class_field else {}
            record = {chain.data.caption_field: captions, "caption": captions[0], **labels}
            _add(tar, f"{number:06d}.jpg", picture.getvalue())
            _add(tar, f"{number:06d}.txt", captions[0].encode())
            _add(tar, f"{number:06d}.json", json.dumps(record).encode())


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _gpus(address: str | None) -> bool:
    """Whether GPUs are there to rehearse on; without a cluster, this machine's."""
    import torch

    return address is not None or torch.cuda.is_available()
