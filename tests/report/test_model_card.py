"""A card reads back with Hugging Face's own library, says what the run knows, and gives nothing away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import ModelCard

from ray_compt.config import load_chain
from ray_compt.config.schema import Chain
from ray_compt.config.yaml_io import write_yaml
from ray_compt.distill.settings import NO_TEACHER, DistillPlan
from ray_compt.models import Macs, model_config
from ray_compt.report.model_card import CardFacts, Lesson, model_card
from tests.cli.small import small_chain

METRICS = {"image_to_text_r1": 0.25, "zero_shot_top1": 0.5, "calibration_error": 0.0123, "samples": 200.0}


def chain_of(tmp_path, **data: Any) -> Chain:
    content = small_chain()
    content["data"] |= data
    (tmp_path / "chain.yaml").write_text(write_yaml(content))
    return load_chain(tmp_path / "chain.yaml")


@pytest.fixture
def facts(tmp_path) -> CardFacts:
    """The second of two stages."""
    chain = chain_of(tmp_path)
    first = Lesson("small", "ViT-32x1-8", 1000, "scratch", NO_TEACHER, (), 4, 40, 640, 300, 0)
    distill = DistillPlan(1.95, 0.5, "linear", "as the chain file says")
    second = Lesson("large", "ViT-64x1-8", 4000, "lossless", distill, (("small", 1.0),), 1, 10, 160, 500, 100)
    return CardFacts(
        chain=chain,
        train=chain.stages[1].train,
        config=model_config(chain.stages[1].model, 16),
        forward=Macs(1000, 2000),
        lineage=(first, second),
        individual=False,
        training_samples=160,
        alone_epochs=4,
        alone_macs=1600,
        metrics=METRICS,
        versions={"ray_compt": "1", "torch": "2"},
    )


def test_its_metadata_reads_back(facts):
    data = ModelCard(model_card(facts)).data
    assert (data.library_name, data.pipeline_tag) == ("open_clip", "zero-shot-image-classification")
    assert "clip" in data.tags and data.license is None and data.base_model is None
    assert data.model_name == "tiny/large"
    found = {
        result.metric_name: (result.task_type, result.metric_type, result.metric_value)
        for result in data.eval_results
    }
    assert found == {
        "zero-shot top-1": ("zero-shot-image-classification", "accuracy", 0.5),
        "image to text R@1": ("image-text-retrieval", "recall", 0.25),
    }
    assert {result.dataset_name for result in data.eval_results} == {"builtin:digits/val"}


def test_it_says_what_the_run_knows(facts):
    text = ModelCard(model_card(facts)).text
    for said in (
        "stage 2 of 2 of the chain `tiny`",
        "| small | ViT-32x1-8 | 1.00 k | scratch | - | 4 | 40 | 300 |",
        "| large | ViT-64x1-8 | 4.00 k | lossless | `small` | 1 | 10 | 500 |",
        "Seen in this stage: 160 samples in 1 epochs; before it, by its predecessors: 640",
        "weight 1.95, falling (linear) until 0.5 of the stage",
        "| student | 400 |",
        "| teachers | 100 |",
        "| with all before it in the chain | 800 |",
        "50.0% of training it alone",
        "| zero-shot top-1 | 50.00 % |",
        "| calibration error | 0.0123 |",
        "200 pictures",
        "`the digit {}`",
        "create_model_and_transforms(name)",
        "torch 2",
    ):
        assert said in text, said


def test_without_an_evaluation_there_are_no_results(facts):
    card = ModelCard(model_card(replace(facts, metrics={})))
    assert card.data.eval_results is None and "None: the chain file names no validation split" in card.text


def test_a_metric_without_a_value_is_shown_and_is_no_result(facts):
    card = ModelCard(model_card(replace(facts, metrics={"zero_shot_top1": float("nan")})))
    assert card.data.eval_results is None and "| zero-shot top-1 | nan |" in card.text


def test_an_individual_model_has_no_lineage_and_no_share(facts):
    alone = replace(facts.own, growth="scratch", distill=NO_TEACHER, teachers=(), teacher_macs=0)
    text = model_card(replace(facts, lineage=(alone,), individual=True))
    assert "trained alone from scratch, as the baseline of stage 2" in text
    assert "of training it alone" not in text and "Distillation: none" in text


def test_it_gives_no_secret_away(facts, tmp_path):
    chain = chain_of(
        tmp_path,
        train=["s3://ME:SECRET@bucket/a.tar", "https://host/b.tar?sig=SECRET"],
        val="s3://b/v?token=SECRET",
    )
    taught = replace(facts.own, teachers=(("s3://ME:SECRET@bucket/teacher", 0.75), ("small", 0.25)))
    text = model_card(replace(facts, chain=chain, lineage=(facts.lineage[0], taught)))
    assert "SECRET" not in text
    assert "`s3://bucket/a.tar`, `https://host/b.tar`" in text
    assert "`s3://bucket/teacher` (75%), `small` (25%)" in text and "teachers from outside" in text


@pytest.mark.parametrize(
    "name", ["a|b.tar", "`x`.tar", "---\nlicense: mit.tar", "q\"uo'te: [x].tar", "<b>é✓.tar", "#{1..2}"]
)
def test_special_characters_stay_text(facts, tmp_path, name):
    prompt = name + " {}"
    chain = chain_of(tmp_path, train=name, val=name, class_templates=[prompt])
    card = ModelCard(model_card(replace(facts, chain=chain)))
    assert card.data.license is None and card.data.library_name == "open_clip"
    assert {result.dataset_name for result in card.data.eval_results} == {name}
    assert card.text.count("\n## ") == 9
