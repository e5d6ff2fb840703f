"""Which DeepSpeed keys `train.deepspeed` may hand through, and why the others may not.

Written against DeepSpeed 0.19 (`deepspeed/runtime/config.py`, `zero/config.py`). To allow a key, move it to
the allowed set once a checkpoint is exact with it: weights, both moments and the next steps unchanged after
saving and loading at another number of workers.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

ZERO = "zero_optimization"

# Measuring, logging, and communication that changes speed and memory but no number.
ALLOWED = frozenset(
    [
        "comms_logger",
        "csv_monitor",
        "comet",
        "disable_allgather",
        "disable_python_gc",
        "dump_state",
        "flops_profiler",
        "log_level",
        "memory_breakdown",
        "tensorboard",
        "timers",
        "vocabulary_size",
        "wall_clock_breakdown",
        "wandb",
        "zero_optimization",
    ]
)
ALLOWED_ZERO = frozenset(
    [
        "allgather_bucket_size",
        "allgather_partitions",
        "contiguous_gradients",
        "enable_sanity_checks",
        "ignore_unused_parameters",
        "leaf_module",
        "log_trace_cache_warnings",
        "memory_efficient_linear",
        "override_module_apply",
        "overlap_comm",
        "reduce_bucket_size",
        "reduce_scatter",
        "stage3_allgather_sequential",
        "stage3_max_live_parameters",
        "stage3_max_reuse_distance",
        "stage3_model_persistence_threshold",
        "stage3_module_granularity_threshold",
        "stage3_param_persistence_threshold",
        "stage3_prefetch_bucket_size",
        "stage3_use_all_reduce_for_fetch_params",
        "use_multi_rank_bucket_allreduce",
    ]
)
# Keys that are harmless with one value only.
ALLOWED_VALUES: Mapping[str, tuple[Any, ...]] = {"communication_data_type": ("fp32",)}

_BATCH = "the batch of a worker follows from global_batch and the number of workers, which may change"
_MEAN = "the loss is scaled for a plain mean of the workers' gradients"
_PRECISION = "the precision is a key of ours"
_OPTIMIZER = "the optimizer is AdamW with our parameter groups, which a checkpoint names one by one"
_CHECKPOINT = "checkpoints are ours: one consolidated state that any number of workers reads"
_ORDER = "the order of samples is a pure function of seed, epoch and batch, and belongs to data"
_WHOLE = "every worker trains the whole model on its share of the batch; models are not split"
_REMOVED = "DeepSpeed 0.19 has removed it"
_OFFLOAD = "offloaded optimizer states live in DeepSpeed's own buffers, where a checkpoint would miss them"
_LOSSY = "it rounds what workers exchange, so a run would depend on their number and not resume exactly"
_LAYOUT = "it moves weights or optimizer states to where a checkpoint has not been proven exact"

# key -> (reason, what to write instead or None)
REFUSED: Mapping[str, tuple[str, str | None]] = {
    "train_batch_size": (_BATCH, "train.global_batch"),
    "train_micro_batch_size_per_gpu": (_BATCH, "train.global_batch"),
    "gradient_accumulation_steps": (_BATCH, "train.global_batch"),
    "managed_gradient_accumulation": (_BATCH, "train.global_batch"),
    "optimizer": (_OPTIMIZER, "train.lr, betas, eps and weight_decay"),
    "zero_allow_untested_optimizer": (_OPTIMIZER, None),
    "zero_force_ds_cpu_optimizer": (_OPTIMIZER, None),
    "scheduler": (
        "the learning rate is a function of the step that a resumed run recomputes",
        "train.schedule",
    ),
    "fp16": (_PRECISION, "train.precision"),
    "bf16": (_PRECISION, "train.precision"),
    "bfloat16": (_PRECISION, "train.precision"),
    "amp": (_PRECISION, "train.precision"),
    "torch_autocast": (_PRECISION, "train.precision"),
    "data_types": (_PRECISION, "train.precision"),
    "gradient_clipping": ("clipping is a key of ours", "train.grad_clip"),
    "prescale_gradients": (_MEAN, None),
    "gradient_predivide_factor": (_MEAN, None),
    "gradient_allreduce_op": (_MEAN, None),
    "activation_checkpointing": (
        "it configures a function that we do not call",
        "train.activation_checkpointing",
    ),
    "steps_per_print": ("progress is shown by compt itself", None),
    "checkpoint": (_CHECKPOINT, "train.checkpoint_every"),
    "datastates": (_CHECKPOINT, "train.checkpoint_every"),
    "nebula": (_REMOVED, "train.checkpoint_every"),
    "aio": (_OFFLOAD, None),
    "data_efficiency": (_ORDER, None),
    "dataloader_drop_last": (_ORDER, None),
    "curriculum_learning": (_REMOVED, None),
    "elasticity": (_REMOVED, "workers.min and workers.max"),
    "pipeline": (_WHOLE, None),
    "tensor_parallel": (_WHOLE, None),
    "sequence_parallel_size": (_WHOLE, None),
    "seq_parallel_communication_data_type": (_WHOLE, None),
    "expert_parallel": (_WHOLE, None),
    "use_data_before_expert_parallelism": (_WHOLE, None),
    "hybrid_engine": ("it is for generating text between training steps", None),
    "autotuning": ("it restarts training through DeepSpeed's own launcher", None),
    "compile": (_LAYOUT, None),
    "communication_data_type": (_LOSSY, None),
    "weight_quantization": ("it quantizes the weights, which a checkpoint must hold exactly", None),
    "quantize_training": (_REMOVED, None),
    "compression_training": (_REMOVED, None),
    "progressive_layer_drop": (_REMOVED, None),
    "eigenvalue": (_REMOVED, None),
    "sparse_attention": (_REMOVED, None),
    "sparse_gradients": (_REMOVED, None),
    "graph_harvesting": (_REMOVED, None),
}
REFUSED_ZERO: Mapping[str, tuple[str, str | None]] = {
    "stage": ("the stage is a key of ours", "train.zero_stage"),
    "offload_optimizer": (_OFFLOAD, None),
    "offload_param": (_OFFLOAD, None),
    "cpu_offload": (_OFFLOAD, None),
    "cpu_offload_param": (_OFFLOAD, None),
    "cpu_offload_use_pin_memory": (_OFFLOAD, None),
    "zenflow": (_OFFLOAD, None),
    "zero_quantized_weights": (_LOSSY, None),
    "zero_quantized_nontrainable_weights": (_LOSSY, None),
    "zero_quantized_gradients": (_LOSSY, None),
    "zeropp_loco_param": (_REMOVED, None),
    "zero_hpz_partition_size": (_LAYOUT, None),
    "mics_shard_size": (_REMOVED, None),
    "mics_hierarchical_params_gather": (_REMOVED, None),
    "round_robin_gradients": (_LAYOUT, None),
    "parameter_alignment": (_LAYOUT, None),
    "legacy_stage1": (_LAYOUT, None),
    "sub_group_size": (_LAYOUT, None),
    "save_muon_momentum_buffer_in_memory": (_OPTIMIZER, None),
    "compute_grad_norm": ("the norm of the gradient is clipped and logged", None),
    "elastic_checkpoint": (_CHECKPOINT, None),
    "load_from_fp32_weights": (_CHECKPOINT, None),
    "pipeline_loading_checkpoint": (_CHECKPOINT, None),
    "stage3_gather_16bit_weights_on_model_save": (_CHECKPOINT, None),
    "stage3_gather_fp16_weights_on_model_save": (_CHECKPOINT, None),
}


@dataclass(frozen=True)
class Refusal:
    """A key that may not be handed through: its path in the section, why not, and what to do."""

    key: tuple[str, ...]
    reason: str
    mend: str


def refused_key(config: Mapping[str, Any]) -> Refusal | None:
    """The first key of a `train.deepspeed` section that may not be handed through, or None."""
    refusal = _first(config, (), ALLOWED, REFUSED)
    if refusal is not None or ZERO not in config:
        return refusal
    zero = config[ZERO]
    if not isinstance(zero, Mapping):
        return Refusal(
            (ZERO,), "a section of keys is expected", "write the keys below it, or set train.zero_stage"
        )
    return _first(zero, (ZERO,), ALLOWED_ZERO, REFUSED_ZERO)


def _first(
    config: Mapping[str, Any],
    above: tuple[str, ...],
    allowed: Collection[str],
    refused: Mapping[str, tuple[str, str | None]],
) -> Refusal | None:
    for key, value in config.items():
        if key in allowed or value in ALLOWED_VALUES.get(key, ()):
            continue
        if key in refused:
            reason, instead = refused[key]
            return Refusal((*above, key), f"not handed to DeepSpeed: {reason}", _mend(key, instead))
        near = difflib.get_close_matches(key, [*allowed, *refused], n=1)
        mend = (
            f"did you mean {near[0]}?" if near else f"remove it, or use one of {', '.join(sorted(allowed))}"
        )
        return Refusal((*above, key), "unknown DeepSpeed key", mend)
    return None


def _mend(key: str, instead: str | None) -> str:
    if key in ALLOWED_VALUES:
        return f"remove it, or write {' or '.join(map(str, ALLOWED_VALUES[key]))}"
    return f"set {instead} instead" if instead else "remove it"
