"""Which class of the data is which name in prompts."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from ray_compt.errors import UserError
from ray_compt.evaluate.classes import find_classes, imagenet_names, imagenet_templates
from ray_compt.evaluate.texts import caption_pairs, class_features, prompts_of

WNIDS = [f"n{number:08d}" for number in range(1000)]


@pytest.mark.parametrize(
    "given, labels, names, places",
    [
        (None, ["cat", "dog"], ("cat", "dog"), {"cat": 0, "dog": 1}),
        ({"a": "cat", "b": "dog", "c": "fox"}, ["b", "a"], ("cat", "dog", "fox"), {"a": 0, "b": 1, "c": 2}),
        (["dog", "cat", "fox"], ["cat", "dog"], ("dog", "cat", "fox"), {"dog": 0, "cat": 1, "fox": 2}),
        (["cat", "dog", "fox"], ["0", "2"], ("cat", "dog", "fox"), {"0": 0, "2": 2}),
        (["cat", "cat"], ["a", "b"], ("cat", "cat"), {"a": 0, "b": 1}),
    ],
    ids=["none", "mapping", "by name", "by number", "by order"],
)
def test_names_are_matched_with_the_datas_classes(given, labels, names, places):
    found = find_classes(given, labels, "task x")
    assert (found.names, dict(found.places)) == (names, places)


def test_imagenet_is_open_clips_names_in_the_order_of_wnids():
    found = find_classes("imagenet", WNIDS, "task x")
    assert list(found.names) == imagenet_names()
    assert found.places[WNIDS[0]] == 0 and found.names[0] == "tench"
    assert find_classes("imagenet", ["7", "999"], "task x").places == {"7": 7, "999": 999}
    assert len(imagenet_templates()) == 80 and imagenet_templates()[0] == "a bad photo of a {}."


@pytest.mark.parametrize(
    "given, labels, message",
    [
        (None, [], "no picture of its data has a class"),
        (None, ["cat"], "its data have one class \\(cat\\)"),
        ({"a": "cat", "b": "dog"}, ["a", "z"], "1 of the data's 2 classes have no name: z"),
        (["cat", "dog"], ["a", "b", "c"], "2 names do not fit the data's 3 classes"),
        ("imagenet", ["cat", "dog"], "1000 names do not fit the data's 2 classes"),
    ],
)
def test_names_that_do_not_fit_are_refused(given, labels, message):
    with pytest.raises(UserError, match=f"task x: {message}"):
        find_classes(given, labels, "task x")


def test_a_class_is_the_normalised_mean_over_its_normalised_prompts():
    names, templates = ["red", "dark {blue}"], ["{}", "a {} one", "it is {} {braces}"]
    prompts = prompts_of(names, templates)
    assert prompts[:3] == ["red", "a red one", "it is red {braces}"]
    assert prompts[4] == "a dark {blue} one"
    features = normalize(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
    for number, row in enumerate(class_features(features, 2)):
        mean = features[3 * number : 3 * number + 3].mean(dim=0)
        torch.testing.assert_close(row, mean / mean.norm())


def test_captions_are_paired_with_their_pictures_once():
    captions = [["a", "b", "a"], ["c"], ["a", "d", "e"]]
    texts, pairs = caption_pairs(captions, 3)
    assert texts == ["a", "b", "c", "d", "e"]
    assert pairs.tolist() == [[0, 0], [0, 1], [1, 2], [2, 0], [2, 3], [2, 4]]
    assert caption_pairs(captions, 1)[1].tolist() == [[0, 0], [1, 1], [2, 0]]
    assert len(caption_pairs(captions, None)[1]) == 6
