"""Suites on a model whose answers are known: which tasks there are, what they come to, what is written."""

from __future__ import annotations

import json

import pytest

from ray_compt.config.schema import DataConfig
from ray_compt.config.suite_keys import TaskConfig
from ray_compt.errors import UserError
from ray_compt.evaluate import Embedder, Here, OpenOnce, logit_scale, open_suite, run_suite, scalars
from ray_compt.evaluate.result import document
from ray_compt.evaluate.suites import check_suite
from ray_compt.models import make_tokenizer

ONE_EACH = tuple(([f"a {name} one", name], name, name) for name in ("red", "green", "blue"))
STANDARD = ["zero_shot", "retrieval"]


@pytest.fixture
def measure(eye, preprocess, config, tmp_path):
    """Measures an `Eye` by tasks on (or trained on) indexes that are given by name."""

    def run(suite, model=None):
        model = (model or eye()).eval()
        embedding = Here(Embedder(model, preprocess.mean, preprocess.std, batch=2), preprocess)
        return run_suite(suite, embedding, make_tokenizer(config), logit_scale(model))

    return run


def _open(index, train=None):
    return lambda spec, _data: train if spec == "train" and train is not None else index


def _suite_file(tmp_path, *tasks):
    file = tmp_path / "suite.yaml"
    file.write_text(json.dumps({"name": "mine", "seed": 5, "tasks": tasks}))
    return str(file)


@pytest.mark.parametrize(
    "choice, train, names",
    [
        (None, True, STANDARD),
        ("core", False, STANDARD),
        ("core", True, [*STANDARD, "linear_probe", "knn"]),
    ],
)
def test_a_name_stands_for_tasks_on_the_validation_split(colours, choice, train, names):
    data = DataConfig(train="train", val="val", class_field="category")
    suite = open_suite(choice, data, train, _open(colours(*ONE_EACH)))
    assert [task.config.name for task in suite.tasks] == names
    without = open_suite(choice, data, train, _open(colours(*((*one[:2], None) for one in ONE_EACH))))
    assert [task.config.name for task in without.tasks] == ["retrieval"]


def test_one_class_leaves_accuracy_out_and_says_so(colours):
    index = colours(*((captions, colour, "colour") for captions, colour, _ in ONE_EACH))
    suite = open_suite("core", DataConfig(train="train", val="val"), True, _open(index))
    assert [task.config.name for task in suite.tasks] == ["retrieval"]
    assert suite.notes == ("all pictures are of one class (colour): no accuracy",)


def test_all_tasks_of_a_perfect_model_are_perfect_and_share_what_they_look_at(
    colours, measure, eye, tmp_path
):
    index, model = colours(*ONE_EACH * 4), eye()
    probe = {"data": "val", "train": "train", "class_field": "category"}
    file = _suite_file(
        tmp_path,
        {"name": "probe", "kind": "linear_probe", **probe},
        {"name": "near", "kind": "knn", "k": 3, **probe},
        {"name": "few", "kind": "few_shot", "shots": [1, 2], "draws": 2, **probe},
        {"name": "several", "kind": "retrieval", "data": "val", "captions": None, "class_field": "category"},
    )
    data = DataConfig(train="train", val="val", class_field="category", class_templates=["{}"])
    results = measure(open_suite(file, data, True, _open(index)), model)
    # Twelve pictures of the split and twelve to learn from, two at a time, for six tasks.
    assert [len(images) for images in model.seen] == [2] * 12
    found = scalars(results)
    assert found["samples"] == 12
    perfect = ("zero_shot_top1", "image_to_text_r1", "probe/top1", "near/mean_per_class", "few/top1_2shot")
    assert {key: found[key] for key in perfect} == dict.fromkeys(perfect, 1.0)
    assert found["few/top1_1shot_std"] == 0.0
    by_name = {result.name: result for result in results}
    assert by_name["near"].facts == {"classes": 3, "training_pictures": 12, "k": 3, "pictures": 12}
    assert by_name["several"].facts == {"pictures": 12, "captions": 24, "distinct_captions": 6}
    assert by_name["probe"].intervals == {"top1": (1.0, 1.0)}


def test_a_class_without_training_pictures_is_wrong_and_counted(colours, measure, tmp_path):
    train, test = colours(*ONE_EACH[:2] * 3, name="train"), colours(*ONE_EACH)
    task = {"name": "near", "kind": "knn", "k": 1, "data": "val", "train": "train"}
    suite = open_suite(_suite_file(tmp_path, task), DataConfig(train="train"), True, _open(test, train))
    (result,) = measure(suite)
    assert result.metrics["top1"] == pytest.approx(2 / 3)
    assert result.facts["classes_not_in_train"] == 1


def test_corrupted_pictures_are_measured_beside_the_clean_ones(colours, measure, tmp_path):
    task = {
        "name": "robust",
        "kind": "zero_shot",
        "data": "val",
        "templates": ["{}"],
        "corruptions": ["brightness", "gaussian_noise"],
        "severity": 1,
    }
    suite = open_suite(
        _suite_file(tmp_path, task), DataConfig(train="train"), True, _open(colours(*ONE_EACH))
    )
    (result,) = measure(suite)
    assert set(result.corruptions) == {"brightness", "gaussian_noise"}
    assert result.facts["severity"] == 1
    assert result.corruptions["gaussian_noise"]["top1"] == 1.0
    assert scalars([result])["robust/brightness/top1"] == 1.0


def test_what_is_written_says_what_was_measured_on_what(colours, measure):
    index = colours(*ONE_EACH, (["lost"], "broken", "red"))
    data = DataConfig(train="train", val="val", class_field="category")
    results = measure(open_suite("core", data, True, _open(index)))
    written = json.loads(json.dumps(document("core", 0, {"checksum": "abc"}, results)))
    assert (written["suite"], written["model"], written["schema"]) == ("core", {"checksum": "abc"}, 1)
    zero_shot, _, probe, _ = written["tasks"]
    described = {"name": "val", "digest": index.digest, "pictures": 3, "unreadable": 1}
    assert zero_shot["data"] == described
    assert zero_shot["train"] is None and probe["train"] == {**described, "name": "train"}
    assert set(zero_shot["metrics"]) == {"top1", "mean_per_class", "ece"}
    assert "l2" in probe["facts"] and "torch" in written["versions"]


@pytest.mark.parametrize(
    "task, message",
    [
        ({"name": "x", "kind": "zero_shot", "data": "val"}, "task x: no picture of its data has a class"),
        (
            {"name": "x", "kind": "knn", "data": "val", "train": "val"},
            "task x: no picture of its data has a class",
        ),
        (
            {"name": "retrieval", "kind": "retrieval", "data": "val"},
            "suite.yaml: retrieval is the name of a task on the validation split",
        ),
    ],
)
def test_tasks_that_cannot_be_measured_are_refused_before_any_model(colours, tmp_path, task, message):
    index = colours(*((*one[:2], None) for one in ONE_EACH))
    with pytest.raises(UserError, match=message):
        open_suite(_suite_file(tmp_path, task), DataConfig(train="train"), True, _open(index))


def test_core_without_a_split_and_a_file_that_is_not_there_are_refused():
    with pytest.raises(UserError, match="suite core: .* there is none"):
        check_suite("core", DataConfig(train="train"))
    with pytest.raises(UserError, match="nowhere: no such suite file"):
        check_suite("nowhere", DataConfig(train="train"))


def test_data_are_opened_once(tmp_path):
    opened = OpenOnce(tmp_path)
    digits = DataConfig(train="builtin:digits/val")
    assert opened("builtin:digits/val", digits) is opened("builtin:digits/val", digits)
    index = opened("builtin:digits/val", digits)
    opened.add("mine", digits, index)
    assert opened("mine", digits) is index


def test_a_part_of_the_training_pictures_has_all_classes(measure):
    from ray_compt.evaluate.embed import View
    from ray_compt.evaluate.tasks import prepare_task

    task = prepare_task(
        TaskConfig(
            name="x", kind="knn", data="builtin:digits/val", train="builtin:digits/train", train_samples=100
        ),
        0,
        OpenOnce("unused"),
    )
    windows = list(View(task.train).windows(32))
    assert sum(hi - lo for window in windows for _, lo, hi in window.parts) == 100
    shards = {shard for window in windows for shard, _, _ in window.parts}
    assert shards == set(range(8))
