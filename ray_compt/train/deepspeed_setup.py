"""Importing DeepSpeed and turning a stage's settings into its configuration."""

from __future__ import annotations

import copy
import logging
import os
from types import ModuleType
from typing import Any

from ray_compt.config.schema import TrainConfig


def import_deepspeed(*, cpu: bool, verbose: bool = False) -> ModuleType:
    """Import DeepSpeed without its noise and, on CPUs, without what takes most of the time.

    One of its optimizers compiles functions at import, which pulls in torch's whole compiler (seconds), and
    its CPU backend builds a C++ extension at first use, which needs a compiler; neither is needed here.
    """
    if cpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    if not verbose:
        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    import deepspeed
    import deepspeed.ops
    import deepspeed.runtime.compiler as compiler

    if not verbose:
        logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    if cpu:
        original = compiler.compile
        compiler.compile = lambda *_, **__: lambda function: function
        try:
            import deepspeed.runtime.zero.muon.muon_optimizer
        finally:
            compiler.compile = original
        # Finding out which extensions could be built takes a second; none is wanted.
        deepspeed.ops.__compatible_ops__ = {}
    return deepspeed


def zero_stage(config: TrainConfig, world_size: int) -> int:
    """DeepSpeed's ZeRO stage on `world_size` workers: the chain file's, or 0 where that is the same for less.

    A single worker has nobody to share with, but from stage 1 on DeepSpeed keeps flat copies of weights and gradients
    and copies both at every step. bf16 and fp16 need those copies.
    """
    return 0 if world_size == 1 and config.precision == "fp32" else config.zero_stage


def deepspeed_config(config: TrainConfig, world_size: int) -> dict[str, Any]:
    """DeepSpeed's configuration of a stage on `world_size` workers.

    The user's further keys come first and ours last: the loader has refused the keys that we own.
    """
    merged = copy.deepcopy(config.deepspeed)
    merged.setdefault("zero_optimization", {})["stage"] = zero_stage(config, world_size)
    merged |= {
        "train_micro_batch_size_per_gpu": config.global_batch // world_size,
        "gradient_accumulation_steps": 1,
        "bf16": {"enabled": config.precision == "bf16"},
        "fp16": {"enabled": config.precision == "fp16"},
        # Changing the loss's dtype or gradient's would change the result between ZeRO stages.
        "zero_allow_untested_optimizer": True,
        "steps_per_print": 2**31,
        # 0 is no clipping; DeepSpeed takes an absent key for 1.
        "gradient_clipping": config.grad_clip or 0.0,
    }
    return merged
