"""Building a stage's DeepSpeed engine, fresh or from a checkpoint."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch

from ray_compt.models.store import read_tensors
from ray_compt.train.carried import read_carried
from ray_compt.train.deepspeed_setup import deepspeed_config
from ray_compt.train.gradient_norm import quicken_norm
from ray_compt.train.job import StageJob
from ray_compt.train.state import EngineState, restore_state, start_optimizer
from ray_compt.train.student import imported, make_optimizer


def build_engine(
    deepspeed: ModuleType, job: StageJob, world_size: int, device: torch.device, state: EngineState | None
) -> Any:
    """Wrap the stage's student in DeepSpeed.

    Weights go into the module before `deepspeed.initialize`, which copies them into its fp32 masters, and
    the optimizer's moments after it. Those of a checkpoint come before those that a grown stage begins with.
    """
    student = job.objective.build(job)
    if state is not None:
        with torch.no_grad():
            student.load_state_dict(state.weights)
    elif job.initial is not None:
        job.objective.load(student, read_tensors(job.initial))
    student.to(device)
    engine, *_ = deepspeed.initialize(
        model=student,
        optimizer=make_optimizer(student, job.train),
        config=deepspeed_config(job.train, world_size),
        dist_init_required=False,
    )
    engine.train()
    if world_size == 1 and engine.zero_optimization_stage() == 0:
        # Alone, averaging gradients over workers only copies them to a flat buffer and back.
        engine.enable_backward_allreduce = False
    if engine.zero_optimization_stage() in (1, 2):
        quicken_norm(engine.optimizer)
    if state is not None:
        restore_state(engine, state)
    elif job.carried is not None:
        carried = read_carried(job.carried)
        named = {key: imported(moment) for key, moment in carried.moments.items()}
        start_optimizer(engine, named, carried.updates)
    if job.train.compile:
        job.objective.compile(student)
    return engine
