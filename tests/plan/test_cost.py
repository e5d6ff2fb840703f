from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.models import Macs
from ray_compt.plan import plan_chain, training_macs

from .conftest import CC3M


def test_the_papers_figures_from_first_principles(vit_4):
    cost = plan_chain(vit_4, CC3M)
    # Paper: 28 % of ViT-L alone and 5.68x; by our arithmetic 28.1 % and 5.57x.
    assert f"{cost.largest_share:.0%}" == "28%"
    assert cost.acceleration == pytest.approx(5.57, abs=0.01)
    assert cost.largest_share == pytest.approx(0.2815, abs=0.0005)


@pytest.mark.parametrize(
    "stages, share",
    # Paper: 36 % and 48 %.
    [([("S", 128), ("B", 24), ("L", 15)], 0.359), ([("B", 128), ("L", 15)], 0.4865)],
)
def test_shorter_chains(make_chain, stages, share):
    assert plan_chain(make_chain(stages), CC3M).largest_share == pytest.approx(share, abs=0.001)


def test_captions_and_teacher_are_what_makes_it_28_percent(make_chain):
    stages = [("T", 128), ("S", 24), ("B", 18), ("L", 15)]
    one_caption = plan_chain(make_chain(stages, captions=1), CC3M)
    no_teacher = plan_chain(make_chain(stages, weight=0), CC3M)
    assert one_caption.largest_share == pytest.approx(0.2243, abs=0.0005)
    assert no_teacher.largest_share == pytest.approx(0.2567, abs=0.0005)
    assert all(stage.teacher_macs == stage.teacher_steps == 0 for stage in no_teacher.stages)


def test_a_stage_by_hand(vit_4):
    first, second, *_ = plan_chain(vit_4, CC3M).stages
    batches = CC3M // 1024
    assert second.steps == 24 * batches
    assert second.samples == 24 * batches * 1024
    forward = second.image_macs + 7 * second.text_macs
    teacher_forward = first.image_macs + 7 * first.text_macs
    assert second.student_macs == 3 * second.samples * forward
    assert second.teacher_macs == second.samples * teacher_forward
    assert second.macs == second.student_macs + second.teacher_macs
    assert second.individual_macs == 3 * 128 * batches * 1024 * forward
    assert (first.teacher_macs, first.macs) == (0, first.individual_macs)


def test_totals_are_sums(vit_4):
    cost = plan_chain(vit_4, CC3M)
    assert cost.chain_macs == sum(stage.macs for stage in cost.stages)
    assert cost.individual_macs == sum(stage.individual_macs for stage in cost.stages)
    assert sum(stage.share for stage in cost.stages) == pytest.approx(1)
    assert cost.largest_share == cost.chain_macs / cost.stages[-1].individual_macs
    assert cost.acceleration == cost.individual_macs / cost.chain_macs


def test_a_teacher_is_paid_for_as_long_as_it_teaches(make_chain):
    stages = [("N", 8), ("T", 4)]
    half = plan_chain(make_chain(stages, weight=1.0, stop_at=0.5), 10_240).stages[1]
    whole = plan_chain(make_chain(stages, weight=1.0), 10_240).stages[1]
    assert (half.teacher_steps, whole.teacher_steps) == (20, 40)
    assert whole.teacher_macs == 2 * half.teacher_macs
    assert half.student_macs == whole.student_macs


def test_auto_counts_all_epochs_of_the_lineage(make_chain):
    # 5 + 5 epochs before 4 are more than twice 4: the paper's weight to the end; 5 before 5 are not.
    stages = plan_chain(make_chain([("N", 5), ("T", 5), ("C", 4)]), 10_240).stages
    assert [stage.teacher_steps for stage in stages] == [0, 25, 40]


def test_individual_models_have_their_own_epochs(make_chain):
    stages = [("N", 8), ("T", 4)]
    default = plan_chain(make_chain(stages), 10_240)
    longer = plan_chain(make_chain(stages, individual=16), 10_240)
    assert longer.individual_macs == 2 * default.individual_macs
    assert longer.chain_macs == default.chain_macs
    assert {stage.individual_epochs for stage in longer.stages} == {16}


def test_a_plan_of_a_descending_chain(make_chain):
    with pytest.raises(UserError, match=r"ViT-T-16.*is smaller than its predecessor ViT-S-16"):
        plan_chain(make_chain([("S", 1), ("T", 1)]), CC3M)


def test_json_has_the_promised_keys(vit_4):
    document = json.loads(json.dumps(plan_chain(vit_4, CC3M).to_json()))
    promised = {"stages", "chain_macs", "individual_macs", "largest_share", "acceleration"}
    assert promised <= document.keys()
    assert [stage["model"] for stage in document["stages"]] == [f"ViT-{size}-16" for size in "TSBL"]
    assert document["stages"][0]["parameters"] == 27_899_777


COUNTS = st.integers(1, 10**6)


@settings(deadline=None, max_examples=50)
@given(
    image=COUNTS,
    text=COUNTS,
    captions=st.integers(1, 9),
    batch=st.integers(1, 999),
    steps=st.integers(0, 999),
)
def test_training_macs(image, text, captions, batch, steps):
    student, teachers = Macs(image, text), [Macs(2, 3), Macs(5, 7)]
    alone = training_macs(student, captions=captions, global_batch=batch, steps=steps)
    taught = training_macs(
        student,
        captions=captions,
        global_batch=batch,
        steps=steps,
        teachers=teachers,
        teacher_steps=steps // 2,
    )
    assert alone.total == alone.student == 3 * steps * batch * (image + captions * text)
    assert taught.student == alone.student
    assert taught.teacher == taught.total - taught.student == steps // 2 * batch * (7 + 10 * captions)
