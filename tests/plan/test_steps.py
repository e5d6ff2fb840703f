from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.plan import batches_per_epoch, stage_steps


@pytest.mark.parametrize(
    "epochs, samples, global_batch, steps",
    [
        (1, 100, 32, 3),  # 4 samples of every epoch are dropped
        (2, 100, 32, 6),  # not round(200 / 32)
        (0.5, 100, 10, 5),
        (0.01, 100, 10, 1),  # at least one step
        (128, 2_891_445, 1024, 361_344),
        (1, 32, 32, 1),
    ],
)
def test_steps(epochs, samples, global_batch, steps):
    assert stage_steps(epochs, samples, global_batch) == steps


def test_too_few_samples():
    with pytest.raises(UserError, match="31 training samples do not fill one global batch of 32") as caught:
        batches_per_epoch(31, 32)
    assert "train.global_batch to 31" in caught.value.mend


@settings(deadline=None, max_examples=100)
@given(
    epochs=st.floats(0.01, 50, allow_nan=False),
    more=st.floats(0, 10, allow_nan=False),
    batches=st.integers(1, 500),
    rest=st.integers(0, 7),
)
def test_steps_never_read_more_than_the_epochs_hold_and_grow_with_them(epochs, more, batches, rest):
    steps = stage_steps(epochs, batches * 8 + rest, 8)
    assert steps >= 1
    assert abs(steps - epochs * batches) <= 0.5 or steps == 1
    assert stage_steps(epochs + more, batches * 8 + rest, 8) >= steps
