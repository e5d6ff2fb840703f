"""The card of a fine-tuned model reads back with Hugging Face's own library and says what the run knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from ray_compt.config import make_chain
from ray_compt.config.schema import Chain
from ray_compt.models import Macs
from ray_compt.plan import FinetuningMacs
from ray_compt.report.finetune_card import FinetuneFacts, finetune_card
from tests.cli.small import small_model


def _chain(**data: Any) -> Chain:
    content = {
        "name": "finetune",
        "data": {"train": "pets.tar", "val": "val.tar", "class_field": "breed", "image_size": 16, **data},
        "train": {"global_batch": 64, "lr": 1e-5},
        "stages": [{"name": "finetuned", "model": small_model(32), "epochs": 2}],
    }
    return make_chain(content, (), where="a test")


@pytest.fixture(scope="module")
def facts() -> FinetuneFacts:
    chain = _chain(class_templates=["a photo of a {}, a breed of pet"])
    return FinetuneFacts(
        chain=chain,
        train=chain.stages[0].train,
        source="runs/vit_4/02-large",
        origin={"chain": "small -> large", "steps": "120", "format": "ray_compt.model.v1"},
        model="ViT-32x1-8",
        config=small_model(32),
        parameters=4000,
        forward=Macs(1000, 2000),
        classes=37,
        prompts=chain.data.class_templates,
        label_smoothing=0.1,
        training_samples=3680,
        epochs=2,
        steps=114,
        samples=7296,
        macs=FinetuningMacs(9000, 500),
        before=0.25,
        after=0.75,
        versions={"ray_compt": "1", "torch": "2"},
    )


def test_its_metadata_reads_back(facts: FinetuneFacts) -> None:
    data = ModelCard(finetune_card(facts)).data
    assert (data.library_name, data.pipeline_tag) == ("open_clip", "image-classification")
    assert {"clip", "fine-tuned"} <= set(data.tags) and data.license is None
    (result,) = data.eval_results
    assert (result.task_type, result.metric_type, result.metric_name) == (
        "image-classification",
        "accuracy",
        "top-1",
    )
    assert (result.metric_value, result.dataset_name) == (0.75, "val.tar")


def test_it_says_what_the_run_knows(facts: FinetuneFacts) -> None:
    text = ModelCard(finetune_card(facts)).text
    for said in (
        "labelled pictures of 37 classes",
        "Fine-tuned from: `runs/vit_4/02-large`",
        "stages of its chain `small -> large`, steps `120`",
        "Training: `pets.tar`, 3,680 labelled pictures",
        "Seen: 7,296 pictures in 2 epochs, 114 steps",
        "global batch of 64, label smoothing 0.1",
        "AdamW: lr 1e-05",
        "zero-shot classifier of the prompts `a photo of a {}, a breed of pet`",
        "| image tower and head, trained | 9.00 k |",
        "| text tower, frozen, for the head's prompts | 500 |",
        "| together | 9.50 k |",
        "| top-1 before, with the zero-shot head | 25.00 % |",
        "| top-1 after | 75.00 % |",
        "upload five files",
        "hf upload USER/REPO head.safetensors head.safetensors",
        "torch 2",
    ):
        assert said in text, said


def test_a_source_that_says_nothing_of_itself_and_a_head_of_zeros(facts: FinetuneFacts) -> None:
    text = finetune_card(replace(facts, source="ViT-B-32/tag", origin={}, prompts=(), label_smoothing=0.0))
    assert "Fine-tuned from: `ViT-B-32/tag`" in text and "That model" not in text
    assert "The head began as zeros" in text and "with the zero head" in text and "smoothing" not in text


def test_it_gives_no_secret_away_and_markup_stays_text(facts: FinetuneFacts) -> None:
    secret = "s3://ME:SECRET@bucket/a.tar?token=SECRET"
    chain = _chain(train=secret, val=secret, class_templates=["`{}`\n---"])
    text = finetune_card(
        replace(facts, chain=chain, source=secret, origin={"chain": secret}, prompts=["`{}`\n---"])
    )
    assert "SECRET" not in text and text.count("\n---\n") == 1
    assert ModelCard(text).data.pipeline_tag == "image-classification"


def test_its_example_gives_logits(facts: FinetuneFacts, tmp_path: Path) -> None:
    """The card's own Python, on a folder as fine-tuning leaves it."""
    import re

    import torch
    from PIL import Image
    from safetensors.torch import save_file

    from ray_compt.models import build_model, save_model
    from tests.cli.small import MEAN, STD

    config = small_model(32)
    save_model(tmp_path, build_model(config, 0).state_dict(), config, mean=MEAN, std=STD)
    head = {"head.weight": torch.zeros(37, 16), "head.bias": torch.arange(37.0)}
    save_file(head, tmp_path / "head.safetensors")
    (code,) = re.findall(r"```python\n(.*?)```", finetune_card(facts), re.DOTALL)
    names: dict[str, Any] = {"picture": Image.new("RGB", (20, 20))}
    exec(code.replace("FOLDER", str(tmp_path)), names)
    assert torch.equal(names["logits"].detach()[0], torch.arange(37.0))
