"""A tiny stage on made-up data, for tests that run DeepSpeed on real processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ray_compt.config.schema import TeacherConfig, TrainConfig, WorkersConfig
from ray_compt.data import Batch, Index, Order, Preprocess
from ray_compt.data.sample_digest import from_parts, sample_words
from ray_compt.distill.settings import DistillPlan
from ray_compt.teacher import TeacherSpec
from ray_compt.train.clip import ClipObjective
from ray_compt.train.job import StageJob, StageTeacher

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 8, "patch_size": 4, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": 6, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}
Share = tuple[Batch, tuple[tuple[torch.Tensor, torch.Tensor], ...]]
BATCH, CAPTIONS, STEPS, TEACHER_WIDTH = 8, 2, 6, 12


def make_job(zero_stage: int, precision: str, folder: str, **train: Any) -> StageJob:
    """A stage with everything that touches gradients: two captions, learnt maps, clipping, checkpointing."""
    values: dict[str, Any] = {
        "global_batch": BATCH,
        "lr": 2e-3,
        "warmup_steps": 2,
        "grad_clip": 1.0,
        "precision": precision,
        "zero_stage": zero_stage,
        "activation_checkpointing": True,
    }
    order = Order(0, (BATCH,), BATCH, 4, 1)
    preprocess = Preprocess(8, (0.5,) * 3, (0.3,) * 3, None, 6, CAPTIONS, {}, 0)
    index = Index(None, (), [], [], "digest")
    return StageJob(
        name="stage",
        folder=folder,
        seed=0,
        initial=None,
        model=MODEL,
        train=TrainConfig(**values | train),
        workers=WorkersConfig(),
        steps=STEPS,
        index=index,
        order=order,
        preprocess=preprocess,
        reader_cpus=0.25,
        max_bad_share=0.0,
        distill=DistillPlan(1.0, 0.5, "linear", ""),
        teacher_config=TeacherConfig(),
        objective=ClipObjective(),
        teachers=(StageTeacher(TeacherSpec("", "", (), ()), TEACHER_WIDTH),),
    )


def make_share(step: int, rank: int, world: int) -> Share:
    """This worker's rows of a batch that depends on the step only; row 3 cannot be read."""
    generator = torch.Generator().manual_seed(step)
    image = torch.randint(0, 256, (BATCH, 3, 8, 8), generator=generator, dtype=torch.uint8)
    text = torch.randint(1, 64, (BATCH, CAPTIONS, 6), generator=generator)
    teacher_image = torch.randn(BATCH, TEACHER_WIDTH, generator=generator)
    teacher_text = torch.randn(BATCH, CAPTIONS, TEACHER_WIDTH, generator=generator)
    rows = slice(rank * BATCH // world, (rank + 1) * BATCH // world)
    valid = torch.arange(BATCH) != 3
    unit = torch.nn.functional.normalize
    words = [sample_words(step, str(row)) for row in range(BATCH)[rows]]
    digest = sum(word[0] for word in words) % 2**64, sum(word[1] for word in words) % 2**64
    batch = Batch(step, image[rows], text[rows], valid[rows], [""] * (BATCH // world), digest)
    return batch, ((unit(teacher_image, dim=-1)[rows], unit(teacher_text, dim=-1)[rows]),)


def run_steps(
    job: StageJob,
    first: int,
    last: int,
    micro_batch: int | None = None,
    share: Callable[[int, int, int], Share] = make_share,
    left_out: int | None = None,
) -> dict[str, Any]:
    """Steps [first, last) in one of `worlds`' processes; from the job's folder's checkpoint where first > 0.

    Leaves a checkpoint behind. `left_out` is a step that is not taken. Returns what AdamW knows and each step's
    statistics on rank 0, elsewhere {}.
    """
    import torch.distributed as dist

    from ray_compt.train.checkpoint import Progress, read_checkpoint, write_checkpoint
    from ray_compt.train.deepspeed_setup import import_deepspeed
    from ray_compt.train.engine import build_engine
    from ray_compt.train.state import gather_state
    from ray_compt.train.step import train_step

    rank, world, device = dist.get_rank(), dist.get_world_size(), torch.device("cpu")
    state = read_checkpoint(job.path, job.digest)[0] if first else None
    engine = build_engine(import_deepspeed(cpu=True), job, world, device, state)
    stats, digests = [], []
    for step in (step for step in range(first, last) if step != left_out):
        batch, answers = share(step, rank, world)
        result = train_step(engine, job, batch, answers, device, micro_batch=micro_batch)
        stats.append(result.stats.tolist())
        digests.append(from_parts(result.digest.tolist()))
    state = gather_state(engine)
    if rank != 0:
        return {}
    job.path.make()
    write_checkpoint(Path(job.folder), state, Progress(step=last), job.digest)
    return {
        "weights": state.weights,
        "moments": state.moments,
        "updates": state.updates,
        "stats": stats,
        "digests": digests,
    }


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max((one[name] - other[name]).abs().max().item() for name in one)
