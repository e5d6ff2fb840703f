"""The gradient's norm in one pass is the norm, and what is not finite makes it so."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ray_compt.train.deepspeed_setup import import_deepspeed
from ray_compt.train.gradient_norm import quicken_norm, sum_of_squares

MOVED = (
    "DeepSpeed's internals have changed: read ray_compt/train/gradient_norm.py against zero/stage_1_and_2.py"
)
SHAPES = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple), max_size=8)


@given(SHAPES, st.sampled_from([torch.float32, torch.bfloat16]), st.integers(0, 9))
def test_it_is_the_sum_over_all_elements(
    shapes: list[tuple[int, ...]], dtype: torch.dtype, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    gradients = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
    exact = sum(float(gradient.double().square().sum()) for gradient in gradients)
    assert float(sum_of_squares(gradients, "cpu")) == pytest.approx(exact, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_one_bad_element_is_seen(bad: float) -> None:
    gradients = [torch.ones(3), torch.tensor([[1.0, bad]])]
    assert not math.isfinite(sum_of_squares(gradients, "cpu"))


def test_deepspeed_still_asks_where_we_answer() -> None:
    import_deepspeed(cpu=True)
    from deepspeed.runtime.zero.stage_1_and_2 import DeepSpeedZeroOptimizer

    assert hasattr(DeepSpeedZeroOptimizer, "get_grad_norm_direct"), MOVED
    assert hasattr(DeepSpeedZeroOptimizer, "check_overflow"), MOVED
    names = DeepSpeedZeroOptimizer.__init__.__code__.co_names + DeepSpeedZeroOptimizer.step.__code__.co_names
    assert {"cpu_offload", "compute_grad_norm", "check_overflow", "dp_process_group"} <= set(names), MOVED


def test_states_on_the_host_keep_deepspeeds_own_way() -> None:
    class Optimizer:
        cpu_offload, compute_grad_norm = True, True

    optimizer = Optimizer()
    quicken_norm(optimizer)
    assert vars(optimizer) == {}
