"""DeepSpeed on real processes: the same weights for every ZeRO stage, worker count, and after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ray_compt.config.schema import TeacherConfig, TrainConfig, WorkersConfig
from ray_compt.data import Batch, Index, Order, Preprocess
from ray_compt.data.sample_digest import from_parts, sample_words
from ray_compt.distill.settings import DistillPlan
from ray_compt.train.checkpoint import Progress, read_checkpoint, write_checkpoint
from ray_compt.train.job import StageJob
from ray_compt.train.student import LARGEST_LOGIT_SCALE
from tests.train.worlds import run_world

MODEL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 8, "patch_size": 4, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {"context_length": 6, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1},
}
BATCH, CAPTIONS, STEPS, TEACHER_WIDTH = 8, 2, 6, 12


def _job(zero_stage: int, precision: str, folder: str) -> StageJob:
    train = TrainConfig(
        global_batch=BATCH,
        lr=2e-3,
        warmup_steps=2,
        grad_clip=1.0,
        precision=precision,
        zero_stage=zero_stage,
        activation_checkpointing=True,
    )
    order = Order(0, (BATCH,), BATCH, 4, 1)
    preprocess = Preprocess(8, (0.5,) * 3, (0.3,) * 3, None, 6, CAPTIONS, {}, 0)
    index = Index(None, (), [], [], "digest")
    return StageJob(
        name="stage",
        folder=folder,
        seed=0,
        initial=None,
        model=MODEL,
        train=train,
        workers=WorkersConfig(),
        steps=STEPS,
        index=index,
        order=order,
        preprocess=preprocess,
        reader_cpus=0.25,
        max_bad_share=0.0,
        distill=DistillPlan(1.0, 0.5, "linear", ""),
        teacher_config=TeacherConfig(),
        teacher_width=TEACHER_WIDTH,
    )


def _share(step: int, rank: int, world: int) -> tuple[Batch, tuple[torch.Tensor, torch.Tensor]]:
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
    return batch, (unit(teacher_image, dim=-1)[rows], unit(teacher_text, dim=-1)[rows])


def _train(zero_stage: int, precision: str, first: int, last: int, folder: str) -> dict[str, Any]:
    """Steps [first, last); from the folder's checkpoint where first > 0; leaves a checkpoint behind."""
    import torch.distributed as dist

    from ray_compt.train.deepspeed_setup import import_deepspeed
    from ray_compt.train.engine import build_engine
    from ray_compt.train.state import gather_state
    from ray_compt.train.step import train_step

    rank, world, device = dist.get_rank(), dist.get_world_size(), torch.device("cpu")
    job = _job(zero_stage, precision, folder)
    state = read_checkpoint(Path(folder), job.digest)[0] if first else None
    engine = build_engine(import_deepspeed(cpu=True), job, world, device, state)
    losses, digests = [], []
    for step in range(first, last):
        batch, teacher = _share(step, rank, world)
        result = train_step(engine, job, batch, teacher, device)
        losses.append(result.stats.tolist())
        digests.append(from_parts(result.digest.tolist()))
    state = gather_state(engine)
    if rank == 0:
        write_checkpoint(Path(folder), state, Progress(step=last), job.digest)
        return {
            "weights": state.weights,
            "moments": state.moments,
            "updates": state.updates,
            "stats": losses,
            "digests": digests,
        }
    return {}


def _difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_world(_train, 1, 0, "fp32", 0, STEPS, str(tmp_path_factory.mktemp("reference")))


@pytest.mark.parametrize("zero_stage", [0, 1, 2, 3])
def test_a_stage_that_moves_from_4_workers_to_2_ends_like_an_undisturbed_one(
    undisturbed: dict[str, Any], tmp_path: Path, zero_stage: int
) -> None:
    begun = run_world(_train, 4, zero_stage, "fp32", 0, 3, str(tmp_path))
    ended = run_world(_train, 2, zero_stage, "fp32", 3, STEPS, str(tmp_path))
    assert ended["updates"] == STEPS
    torch.testing.assert_close(
        torch.tensor(begun["stats"] + ended["stats"]),
        torch.tensor(undisturbed["stats"]),
        atol=1e-4,
        rtol=1e-5,
    )
    assert begun["digests"] + ended["digests"] == undisturbed["digests"]
    assert _difference(ended["weights"], undisturbed["weights"]) < 1e-5
    for key, tolerance in (("exp_avg", 1e-5), ("exp_avg_sq", 1e-5)):
        assert _difference(ended["moments"][key], undisturbed["moments"][key]) < tolerance


def test_a_checkpoint_moves_between_zero_stages(undisturbed: dict[str, Any], tmp_path: Path) -> None:
    run_world(_train, 2, 3, "fp32", 0, 3, str(tmp_path))
    ended = run_world(_train, 2, 1, "fp32", 3, STEPS, str(tmp_path))
    assert _difference(ended["weights"], undisturbed["weights"]) < 1e-5


@pytest.mark.parametrize("zero_stage", [1, 3])
def test_bf16_stays_within_its_rounding(undisturbed: dict[str, Any], tmp_path: Path, zero_stage: int) -> None:
    """A bf16 weight has 8 bits; six AdamW steps of at most 2e-3 each may differ by about one step."""
    run_world(_train, 2, zero_stage, "bf16", 0, 3, str(tmp_path))
    ended = run_world(_train, 1, zero_stage, "bf16", 3, STEPS, str(tmp_path))
    assert ended["updates"] == STEPS
    assert _difference(ended["weights"], undisturbed["weights"]) < 2e-2


def _hot(zero_stage: int, folder: str) -> dict[str, Any]:
    """One step from a logit scale at its bound, pushed upwards by its moments."""
    import torch.distributed as dist

    from ray_compt.train.deepspeed_setup import import_deepspeed
    from ray_compt.train.engine import build_engine
    from ray_compt.train.state import clamp_parameter, gather_state, restore_state
    from ray_compt.train.step import train_step

    job = _job(zero_stage, "fp32", folder)
    device = torch.device("cpu")
    engine = build_engine(import_deepspeed(cpu=True), job, dist.get_world_size(), device, None)
    state = gather_state(engine)
    states = [state]
    dist.broadcast_object_list(states)
    states[0].weights["clip.logit_scale"].fill_(LARGEST_LOGIT_SCALE)
    states[0].moments["exp_avg"]["clip.logit_scale"].fill_(-1.0)
    restore_state(engine, states[0])
    clamp_parameter(engine, engine.module.clip.logit_scale, LARGEST_LOGIT_SCALE)
    for step in (2, 3):
        batch, teacher = _share(step, dist.get_rank(), dist.get_world_size())
        train_step(engine, job, batch, teacher, device)
    state = gather_state(engine)
    return {"scale": state.weights["clip.logit_scale"].item()} if state else {}


@pytest.mark.parametrize("zero_stage", [0, 1, 3])
def test_the_logit_scale_never_passes_ln_100(tmp_path: Path, zero_stage: int) -> None:
    assert run_world(_hot, 2, zero_stage, str(tmp_path))["scale"] <= LARGEST_LOGIT_SCALE * (1 + 1e-7)


def test_gains_biases_and_the_logit_scale_do_not_decay() -> None:
    from ray_compt.train.student import Student, parameter_groups

    student = Student(MODEL, None, 0)
    names = {parameter: name for name, parameter in student.named_parameters()}
    decayed, kept = parameter_groups(student, 0.1)
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    kept_names = {names[parameter] for parameter in kept["params"]}
    assert "clip.logit_scale" in kept_names
    assert all(name in kept_names for name in names.values() if name.endswith("bias") or ".ln_" in name), (
        "LayerNorms and biases must be kept"
    )
    assert any(name.endswith("in_proj_weight") for name in map(names.get, decayed["params"]))
    assert len(decayed["params"]) + len(kept["params"]) == len(names)
