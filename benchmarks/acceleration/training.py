"""Training one cell in this process: the product's own step, growth, schedule, losses and evaluation.

What is left out is Ray and DeepSpeed: one worker in fp32 computes the same without them, to 1e-5 in the weights where
neither clips gradients (`tests/integration/test_acceleration.py` holds it against `compt train`), and several times as
many small trainings end in an hour. Here nothing is clipped; `compt train` with `grad_clip: null` clips at norm 1,
because that is DeepSpeed 0.19's own default.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.acceleration.cell import GLOBAL_BATCH, Cell
from benchmarks.acceleration.epochs import Epochs
from benchmarks.acceleration.family import Family
from ray_compt.config.schema import DataConfig, TeacherConfig, WorkersConfig
from ray_compt.data import Index, Order, make_preprocess, open_index
from ray_compt.evaluate import evaluate_model
from ray_compt.growth import grow
from ray_compt.models import count_macs, load_state, save_model
from ray_compt.plan.cost import training_macs
from ray_compt.plan.steps import stage_steps
from ray_compt.teacher.frozen import FrozenModel
from ray_compt.teacher.spec import spec_of
from ray_compt.train.clip import ClipObjective
from ray_compt.train.job import StageJob, StageTeacher
from ray_compt.train.step import train_step
from ray_compt.train.student import Student, exported, load_initial, make_optimizer

EVALUATED_AT_ONCE = 256


@dataclass(frozen=True)
class Bench:
    """Where trainings happen.

    Attributes:
        family: the models.
        data: where the shards are.
        work: folder for epochs and finished models.
        device: torch's name.
    """

    family: Family
    data: DataConfig
    work: Path
    device: str = "cpu"

    def folder(self, cell: Cell) -> Path:
        """Of the cell's finished model."""
        return self.work / "models" / cell.name


class PlainEngine:
    """What the step needs of DeepSpeed's engine: ZeRO 0 on one worker in fp32."""

    def __init__(self, student: Student, optimizer: torch.optim.Optimizer):
        self.module, self.optimizer = student, optimizer

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        return self.module(*inputs)

    def zero_optimization_stage(self) -> int:
        return 0

    def set_gradient_accumulation_boundary(self, is_boundary: bool) -> None:
        pass

    def backward(self, loss: Tensor, *, scale_wrt_gas: bool) -> None:
        loss.backward()

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


def train_cell(bench: Bench, cell: Cell) -> dict[str, Any]:
    """Train a cell whose source is there, keep its model, and return what was measured.

    Returns:
        "metrics" of the evaluation, "grown" those of the initial weights where they were grown, "macs" with the
        teacher's, "teacher_macs", "steps", "seconds" of training.
    """
    split = open_index(bench.data.train, bench.data, bench.work / "index")
    held_out = open_index(bench.data.val, bench.data, bench.work / "index")
    job = _job(bench, cell, split)
    student = _student(bench, cell, job)
    grown = _evaluate(bench, student.clip, job, held_out) if cell.source and cell.growth != "random" else {}
    began = time.perf_counter()
    _train(bench, cell, job, student)
    seconds = time.perf_counter() - began
    save_model(
        bench.folder(cell),
        exported(student.state_dict()),
        job.model,
        mean=job.preprocess.mean,
        std=job.preprocess.std,
    )
    cost = training_macs(
        count_macs(job.model),
        captions=1,
        global_batch=GLOBAL_BATCH,
        steps=job.steps,
        teachers=[count_macs(bench.family.model(cell.source.size))] if cell.source else [],
        teacher_steps=job.distill.last_step(job.steps),
    )
    return {
        "metrics": _evaluate(bench, student.clip, job, held_out),
        "grown": grown,
        "macs": cost.total,
        "teacher_macs": cost.teacher,
        "steps": job.steps,
        "seconds": round(seconds, 1),
    }


def _job(bench: Bench, cell: Cell, split: Index) -> StageJob:
    model = bench.family.model(cell.size)
    order = Order(cell.seed, split.sizes, GLOBAL_BATCH, bench.data.lanes, bench.data.window_batches)
    teachers: tuple[StageTeacher, ...] = ()
    if cell.source is not None and cell.distill.active:
        spec = spec_of(str(bench.folder(cell.source)), rows=GLOBAL_BATCH)
        teachers = (StageTeacher(spec, model["embed_dim"]),)
    return StageJob(
        name=cell.name,
        folder=str(bench.folder(cell)),
        seed=cell.seed,
        initial=None,
        model=model,
        train=cell.train(order.batches_per_epoch),
        workers=WorkersConfig(),
        steps=stage_steps(cell.epochs, split.samples, GLOBAL_BATCH),
        index=split,
        order=order,
        preprocess=make_preprocess(bench.data, model, seed=cell.seed),
        reader_cpus=0.25,
        max_bad_share=0.0,
        distill=cell.distill,
        teacher_config=TeacherConfig(),
        objective=ClipObjective(),
        teachers=teachers,
    )


def _student(bench: Bench, cell: Cell, job: StageJob) -> Student:
    student = Student(job.model, job.map_widths, job.seed)
    if cell.source is not None and cell.growth != "random":
        weights = load_state(bench.folder(cell.source))
        if cell.growth != "continue":
            source = bench.family.model(cell.source.size)
            place = len(list(cell.source.lineage()))
            weights = grow(
                weights, source, job.model, operator=cell.growth, seed=cell.seed + place, noise=cell.noise
            )
        load_initial(student, weights)
    return student.to(bench.device)


def _train(bench: Bench, cell: Cell, job: StageJob, student: Student) -> None:
    engine = PlainEngine(student.train(), make_optimizer(student, job.train))
    teachers = [FrozenModel(teacher.spec, bench.device) for teacher in job.teachers]
    taught = job.distill.last_step(job.steps)
    epochs = bench.work / "epochs"
    epochs.mkdir(parents=True, exist_ok=True)
    device = torch.device(bench.device)
    for batch in Epochs(job.index, job.order, job.preprocess, epochs).batches(job.steps):
        asked = teachers if batch.step < taught else []
        # A copy, because what inference made cannot take part in a graph.
        answers = [
            tuple(part.clone() for part in teacher.embed(batch.image, batch.text)) for teacher in asked
        ]
        result = train_step(engine, job, batch, answers or None, device)
    if not result.stats[0].isfinite():
        raise FloatingPointError(f"{cell.path}: the loss is not finite")


def _evaluate(bench: Bench, model: nn.Module, job: StageJob, held_out: Index) -> dict[str, float]:
    return evaluate_model(
        model,
        job.model,
        held_out,
        job.preprocess,
        templates=bench.data.class_templates,
        batch=EVALUATED_AT_ONCE,
        device=bench.device,
    )
