"""What fine-tuning costs, against a count by hand and by torch's own counter."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ray_compt.models import Macs, count_macs
from ray_compt.plan.finetuning import FinetuningMacs, finetuning_macs
from ray_compt.train.classification import Classifier
from tests.cli.small import small_model

SIZES = st.integers(0, 10**6)


@given(image=SIZES, text=SIZES, width=SIZES, classes=SIZES, prompts=SIZES, steps=SIZES)
def test_three_forwards_of_what_learns_and_one_of_each_prompt(
    image: int, text: int, width: int, classes: int, prompts: int, steps: int
) -> None:
    found = finetuning_macs(
        Macs(image, text), width=width, classes=classes, prompts=prompts, global_batch=8, steps=steps
    )
    assert found == FinetuningMacs(3 * 8 * steps * (image + width * classes), prompts * text)
    assert found.total == found.trained + found.frozen


def test_a_forward_pass_is_what_torch_counts() -> None:
    config = small_model(32)
    module = Classifier(config, 10, seed=0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(torch.zeros(4, 3, 16, 16))
    macs = count_macs(config)
    spent = finetuning_macs(macs, width=16, classes=10, prompts=0, global_batch=4, steps=1)
    assert spent.trained == 3 * counter.get_total_flops() // 2
