"""`evaluate_model` on a model whose answers are known, and on a real open_clip model."""

from __future__ import annotations

import pytest

from ray_compt.config.schema import DataConfig
from ray_compt.data import make_preprocess, open_index
from ray_compt.errors import UserError
from ray_compt.evaluate import evaluate_model
from ray_compt.models import build_model

TEMPLATES = ["a photo of a {}.", "{}"]
RETRIEVAL = [f"{way}_r{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)]
ZERO_SHOT = ["zero_shot_top1", "zero_shot_mean_per_class", "zero_shot_ece"]
ONE_EACH = tuple(([f"a {name} one"], name, name) for name in ("red", "green", "blue"))


def _evaluate(model, index, preprocess, config, **options):
    options = {"templates": TEMPLATES, "batch": 2, **options}
    return evaluate_model(model, config, index, preprocess, **options)


def test_a_perfect_model_scores_1_everywhere(eye, colours, preprocess, config):
    assert _evaluate(eye(), colours(*ONE_EACH), preprocess, config) == {
        **dict.fromkeys(RETRIEVAL, 1.0),
        "zero_shot_top1": 1.0,
        "zero_shot_mean_per_class": 1.0,
        "zero_shot_ece": pytest.approx(0.0, abs=1e-6),
        "samples": 3.0,
    }


def test_a_model_that_confuses_two_words_scores_a_third(eye, colours, preprocess, config):
    model = eye(reads={"green": "blue", "blue": "green"})
    metrics = _evaluate(model, colours(*ONE_EACH), preprocess, config)
    for key in ("zero_shot_top1", "image_to_text_r1", "text_to_image_r1"):
        assert metrics[key] == pytest.approx(1 / 3)
    assert metrics["image_to_text_r5"] == 1.0


def test_without_classes_there_is_no_zero_shot(eye, colours, preprocess, config):
    index = colours(*((captions, colour, None) for captions, colour, _ in ONE_EACH))
    assert set(_evaluate(eye(), index, preprocess, config)) == {*RETRIEVAL, "samples"}


def test_pictures_without_a_class_or_that_are_broken_do_not_count(eye, colours, preprocess, config):
    index = colours(*ONE_EACH, (["a red one"], "blue", None), (["a red one"], "broken", "red"))
    metrics = _evaluate(eye(), index, preprocess, config)
    assert metrics["zero_shot_top1"] == 1.0
    assert metrics["samples"] == 4
    assert metrics["image_to_text_r1"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("training", [True, False])
def test_the_training_mode_is_left_as_found(eye, colours, preprocess, config, training):
    model = eye().train(training)
    _evaluate(model, colours(*ONE_EACH), preprocess, config)
    assert model.training is training


def test_nan_is_refused_and_not_scored(eye, colours, preprocess, config):
    model = eye().train()
    model.table.data.fill_(float("nan"))
    with pytest.raises(UserError, match="NaN"):
        _evaluate(model, colours(*ONE_EACH), preprocess, config)
    assert model.training


def test_a_template_without_a_place_for_the_class_is_refused(eye, colours, preprocess, config):
    with pytest.raises(UserError, match="a red one"):
        _evaluate(eye(), colours(*ONE_EACH), preprocess, config, templates=["{}", "a red one"])


def test_of_one_class_alone_there_is_no_accuracy(eye, colours, preprocess, config):
    index = colours(*((captions, colour, "colour") for captions, colour, _ in ONE_EACH))
    assert set(_evaluate(eye(), index, preprocess, config)) == {*RETRIEVAL, "samples"}


def test_texts_that_the_tokenizer_cannot_tell_apart_are_refused(eye, colours, preprocess, config):
    """In a script of three tokens a letter, captions differ only beyond the model's ten tokens."""
    scripts = [f"ლამაზი სურათი {number}" for number in ("ერთი", "ორი")]
    index = colours(([scripts[0]], "red", None), ([scripts[1]], "blue", None))
    with pytest.raises(UserError, match="task retrieval: .*all of 2 different texts the same 10 tokens"):
        _evaluate(eye(), index, preprocess, config)


def test_a_real_model_gives_the_same_at_every_batch_size(config):
    data = DataConfig(train="builtin:digits/train", image_size=8)
    index, preprocess = (
        open_index("builtin:digits/val", data, "unused"),
        make_preprocess(data, config, seed=0),
    )
    model = build_model(config, seed=1)
    metrics = _evaluate(model, index, preprocess, config, batch=64)
    # Rounding depends on the batch and may turn a near tie over.
    assert metrics == pytest.approx(_evaluate(model, index, preprocess, config, batch=400), abs=0.02)
    assert metrics["samples"] == index.samples
    assert set(metrics) == {*RETRIEVAL, *ZERO_SHOT, "zero_shot_top5", "samples"}
    assert all(0 <= metrics[key] <= 1 for key in (*RETRIEVAL, "zero_shot_top1"))
