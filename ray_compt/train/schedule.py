"""The learning rate as a pure function of the step."""

from __future__ import annotations

import math

from ray_compt.config.schema import TrainConfig


def learning_rate(step: int, steps: int, config: TrainConfig) -> float:
    """Learning rate of optimizer step `step` (from 0) of a stage of `steps` steps.

    Linear warm-up to `config.lr` over `warmup_steps`, then a half cosine down to `final_lr` ("cosine"), or a
    plateau and a linear way down over the last `decay_share` of the stage ("wsd", warmup-stable-decay).
    A stage shorter than its warm-up still ends at the peak.
    """
    warmup = min(config.warmup_steps, steps)
    if step < warmup:
        return config.lr * (step + 1) / warmup
    if config.schedule == "cosine":
        progress = (step - warmup) / max(1, steps - warmup)
        return config.final_lr + (config.lr - config.final_lr) * 0.5 * (1 + math.cos(math.pi * progress))
    decay = max(1, round(config.decay_share * steps))
    left = steps - step
    if left >= decay:
        return config.lr
    return config.final_lr + (config.lr - config.final_lr) * left / decay
