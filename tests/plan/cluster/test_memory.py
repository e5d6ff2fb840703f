from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.models import model_config
from ray_compt.plan.cluster.memory import Footprint, activation_bytes, loss_bytes, state_bytes

BASE = model_config("B", 224)


def test_states_by_hand():
    assert state_bytes(100, "bf16", 1, 4) == 2 * 100 + 2 * 100 + 16 * 100 / 4
    assert state_bytes(100, "bf16", 3, 4) == (2 + 2 + 16) * 100 / 4
    assert state_bytes(100, "fp32", 0, 4) == (4 + 4 + 12) * 100


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 10**10), st.integers(1, 512), st.sampled_from(["bf16", "fp32"]))
def test_a_higher_stage_holds_no_more(parameters, workers, precision):
    held = [state_bytes(parameters, precision, stage, workers) for stage in (1, 2, 3)]
    assert held == sorted(held, reverse=True)


def test_activations_by_hand():
    image, text = 197 * 768 * 12, 77 * 512 * 12
    assert activation_bytes(BASE, 1, "bf16", checkpointed=False) == 34 * (image + text)
    assert activation_bytes(BASE, 7, "fp32", checkpointed=True) == 2 * 2 * (image + 7 * text)


def test_other_towers_are_not_guessed_at():
    assert activation_bytes(model_config("RN50", 224), 1, "bf16", checkpointed=False) is None
    assert Footprint(1e9, None, 0).samples_at_once(80e9) is None


def test_logits_grow_with_the_square_of_the_batch():
    assert loss_bytes(2048, 8, 1) == 4 * loss_bytes(1024, 8, 1) == 3 * 4 * 2 * 256 * 2048
    # 160,000 on 8 workers fit no device: 20,000 rows of 160,000 in both directions, three times.
    assert loss_bytes(160_000, 8, 1) > 76e9


def test_what_was_trained_on_an_80_gb_gpu_fits_one():
    """docs/performance.md: 512 samples of a ViT-B/16 at once on an H100."""
    footprint = Footprint(
        state_bytes(150e6, "bf16", 1, 1),
        activation_bytes(BASE, 1, "bf16", checkpointed=False),
        loss_bytes(512, 1, 1),
    )
    assert 512 < footprint.samples_at_once(80e9) < 2048


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 100e9), st.floats(1e6, 1e9), st.floats(0, 100e9), st.floats(1e9, 200e9))
def test_what_fits_really_fits(states, sample, loss, memory):
    fits = Footprint(states, sample, loss).samples_at_once(memory)
    assert fits == 0 or states + loss + fits * sample <= memory
