"""Training one cell in this process: the product's own step, growth, schedule, losses and evaluation.

What is left out is Ray and DeepSpeed: one worker in fp32 computes the same without them, to 1e-5 in the weights
(`tests/integration/test_acceleration.py` holds it against `compt train`), and several times as many small trainings end
in an hour.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.acceleration.cell import GLOBAL_BATCH, GRAD_CLIP, Cell
from benchmarks.acceleration.epochs import Epochs
from benchmarks.acceleration.family import Family
from ray_compt.config.schema import DataConfig, TeacherConfig, WorkersConfig
from ray_compt.data import Index, Order, make_preprocess, open_index
from ray_compt.evaluate import evaluate_model
from ray_compt.growth import grow, grow_moments
from ray_compt.models import count_macs, load_state, save_model
from ray_compt.plan.cost import training_macs
from ray_compt.plan.steps import stage_steps
from ray_compt.storage import open_place
from ray_compt.teacher.frozen import FrozenModel
from ray_compt.teacher.spec import spec_of
from ray_compt.train.carried import OptimizerState, read_carried, write_carried
from ray_compt.train.clip import ClipObjective
from ray_compt.train.job import StageJob, StageTeacher
from ray_compt.train.state import MOMENTS, start_optimizer
from ray_compt.train.step import train_step
from ray_compt.train.student import Student, exported, imported, load_initial, make_optimizer

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
        nn.utils.clip_grad_norm_(self.module.parameters(), GRAD_CLIP)
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
    engine = PlainEngine(student, make_optimizer(student, job.train))
    if cell.optimizer == "carry":
        _carry(bench, cell, engine)
    grown = _evaluate(bench, student.clip, job, held_out) if cell.source and cell.growth != "random" else {}
    began = time.perf_counter()
    _train(bench, job, engine)
    seconds = time.perf_counter() - began
    save_model(
        bench.folder(cell),
        exported(student.state_dict()),
        job.model,
        mean=job.preprocess.mean,
        std=job.preprocess.std,
    )
    _keep_moments(bench.folder(cell), engine)
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
            weights = grow(
                weights,
                source,
                job.model,
                operator=cell.growth,
                seed=_growth_seed(cell),
                noise=cell.noise,
            )
        load_initial(student, weights)
    return student.to(bench.device)


def _growth_seed(cell: Cell) -> int:
    return cell.seed + len(list(cell.lineage())) - 1


def _keep_moments(folder: Path, engine: PlainEngine) -> None:
    state = engine.optimizer.state
    moments = {
        key: exported({name: state[tensor][key].cpu() for name, tensor in engine.module.named_parameters()})
        for key in MOMENTS
    }
    updates = int(next(iter(state.values()))["step"])
    write_carried(open_place(folder / "moments.safetensors"), OptimizerState(moments, updates))


def _carry(bench: Bench, cell: Cell, engine: PlainEngine) -> None:
    """Let AdamW begin with the moments of the cell's source, grown."""
    assert cell.source is not None
    folder = bench.folder(cell.source)
    found = read_carried(open_place(folder / "moments.safetensors"))
    models = (bench.family.model(cell.source.size), bench.family.model(cell.size))
    first, second = (found.moments[key] for key in MOMENTS)
    grown = grow_moments((first, second), load_state(folder), *models, cell.growth, _growth_seed(cell))
    named = {key: imported(dict(moment)) for key, moment in zip(MOMENTS, grown)}
    start_optimizer(engine, named, found.updates)


def _train(bench: Bench, job: StageJob, engine: PlainEngine) -> None:
    engine.module.train()
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
        raise FloatingPointError(f"{job.name}: the loss is not finite")


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
