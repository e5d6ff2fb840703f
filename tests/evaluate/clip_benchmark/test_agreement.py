"""Our own evaluation and clip_benchmark's give the same numbers for the same model and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from open_clip import get_model_preprocess_cfg

from ray_compt.config.schema import DataConfig
from ray_compt.data import make_preprocess, open_index
from ray_compt.evaluate import evaluate_model
from ray_compt.evaluate.clip_benchmark import choose, evaluate_requests, open_subject
from ray_compt.evaluate.clip_benchmark.accuracy import accuracy
from ray_compt.models import open_pretrained
from tests.evaluate.clip_benchmark.conftest import TEMPLATES

RECALLS = [f"{way}_r{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)]


@pytest.fixture(scope="module")
def ours(model: Path, digits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory):
    """`evaluate_model` on the shards of the classification set."""
    shards = str(digits() / "test" / "{0..1}.tar")
    opened, config = open_pretrained(model)
    own = get_model_preprocess_cfg(opened)
    data = DataConfig(train=shards, class_field="category", image_size=16)
    index = open_index(shards, data, tmp_path_factory.mktemp("index"))
    preprocess = make_preprocess(data, config, seed=0, mean=own["mean"], std=own["std"])
    return evaluate_model(opened, config, index, preprocess, templates=TEMPLATES, batch=32)


def theirs(model: Path, folder: Path) -> dict[str, float]:
    """What clip_benchmark finds, with the data set's name left out."""
    told = []
    metrics, failures = evaluate_requests(
        open_subject(str(model), device="cpu"),
        choose(["wds/digits"]),
        str(folder),
        batch=32,
        finished=lambda request, outcome: told.append((str(request), outcome)),
    )
    assert failures == []
    assert told == [("wds/digits", {key.rpartition("/")[2]: value for key, value in metrics.items()})]
    return told[0][1]


def test_zero_shot_accuracy(model: Path, digits: Callable[..., Path], ours: dict[str, float]):
    found = theirs(model, digits())
    assert set(found) == {"zero_shot_top1", "zero_shot_top5", "zero_shot_mean_per_class"}
    assert found == pytest.approx({key: ours[key] for key in found}, abs=1e-6)
    assert 0.2 < found["zero_shot_top1"] < found["zero_shot_top5"] <= 1


def test_retrieval(model: Path, digits: Callable[..., Path], ours: dict[str, float]):
    found = theirs(model, digits("retrieval"))
    assert found == pytest.approx({key: ours[key] for key in RECALLS}, abs=1e-6)
    assert 0.2 < found["image_to_text_r10"] < 1 and 0.2 < found["text_to_image_r10"] < 1
    assert found["image_to_text_r5"] != found["text_to_image_r5"], (
        "the two ways could be mistaken for each other"
    )


def test_accuracy_is_the_share_of_classes_among_the_best():
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [2.0, 1.0, 3.0], [1.0, 2.0, 3.0]])
    target = torch.tensor([0, 2, 1, 2])
    # The linear probe hands its classes over as floats.
    for classes in (target, target.float()):
        assert accuracy(logits, classes, topk=(1, 2, 3)) == [0.5, 0.75, 1.0]
