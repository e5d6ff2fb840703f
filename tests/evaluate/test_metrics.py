"""Recall against brute force over sorted lists, ties included."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.evaluate.metrics import image_to_text, ranks, text_to_image

QUICK = settings(deadline=None, max_examples=60)


@st.composite
def _problems(draw):
    """Features of small integers, so that similarities are exact and ties are frequent."""
    pictures, captions, width = draw(st.integers(1, 7)), draw(st.integers(1, 7)), draw(st.integers(1, 3))
    value = st.integers(-2, 2)

    def matrix(rows):
        flat = draw(st.lists(value, min_size=rows * width, max_size=rows * width))
        return torch.tensor(flat, dtype=torch.float32).reshape(rows, width)

    right = {(i, draw(st.integers(0, captions - 1))) for i in range(pictures)}
    right |= {(draw(st.integers(0, pictures - 1)), j) for j in range(captions)}
    pairs = draw(st.permutations(sorted(right)))
    return matrix(pictures), matrix(captions), torch.tensor(pairs)


def _found_at(query, gallery, right, k):
    """Sort the gallery with wrong items first among equals, and look among the first k."""
    scores = [float(query @ item) for item in gallery]
    order = sorted(range(len(gallery)), key=lambda g: (-scores[g], g in right))
    return bool(right & set(order[:k]))


@QUICK
@given(_problems(), st.integers(1, 40))
def test_ranks_do_not_depend_on_the_chunk_or_on_the_order_of_the_pairs(problem, chunk):
    images, texts, pairs = problem
    assert torch.equal(ranks(images, texts, pairs), ranks(images, texts, pairs.flip(0), chunk_elements=chunk))


@QUICK
@given(_problems())
def test_image_to_text_is_brute_force(problem):
    images, texts, pairs = problem
    right = [{int(t) for p, t in pairs if int(p) == i} for i in range(len(images))]
    for k, share in image_to_text(images, texts, pairs, (1, 2, 5, 10)).items():
        hits = [_found_at(images[i], texts, right[i], k) for i in range(len(images))]
        assert share == pytest.approx(sum(hits) / len(hits))


@QUICK
@given(_problems())
def test_text_to_image_is_brute_force_over_every_pair(problem):
    images, texts, pairs = problem
    right = [{int(p) for p, t in pairs if int(t) == j} for j in range(len(texts))]
    for k, share in text_to_image(images, texts, pairs, (1, 2, 5, 10)).items():
        hits = [_found_at(texts[int(t)], images, right[int(t)], k) for _, t in pairs]
        assert share == pytest.approx(sum(hits) / len(hits))


@QUICK
@given(st.integers(2, 30), st.integers(0, 2**31 - 1))
def test_one_caption_each_is_open_clips_index_recall(samples, seed):
    generator = torch.Generator().manual_seed(seed)
    images, texts = (
        torch.nn.functional.normalize(torch.randn(samples, 5, generator=generator)) for _ in range(2)
    )
    pairs = torch.arange(samples).unsqueeze(1).expand(samples, 2)
    ranking = torch.argsort(images @ texts.T, descending=True)
    position = torch.where(ranking == torch.arange(samples).view(-1, 1))[1]
    expected = {k: pytest.approx((position < k).double().mean().item()) for k in (1, 5, 10)}
    assert image_to_text(images, texts, pairs) == expected


def test_a_shared_caption_is_right_for_all_its_pictures():
    images = torch.eye(3)
    texts = torch.tensor([[1.0, 0.9, 0.0], [0.0, 0.0, 1.0]])
    pairs = torch.tensor([[0, 0], [1, 0], [2, 1]])
    assert image_to_text(images, texts, pairs, (1,)) == {1: 1.0}
    assert text_to_image(images, texts, pairs, (1,)) == {1: 1.0}


def test_a_collapsed_model_scores_nothing():
    features = torch.ones(8, 4) / 2
    pairs = torch.arange(8).unsqueeze(1).expand(8, 2)
    assert image_to_text(features, features, pairs, (1, 5)) == {1: 0.0, 5: 0.0}
    assert text_to_image(features, features, pairs, (1, 5)) == {1: 0.0, 5: 0.0}


def test_a_short_gallery_is_found_whole():
    images, texts = torch.eye(3), torch.eye(3).flip(0)
    pairs = torch.arange(3).unsqueeze(1).expand(3, 2)
    assert image_to_text(images, texts, pairs, (1, 5)) == {1: pytest.approx(1 / 3), 5: 1.0}


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", ["images", "texts"])
def test_features_that_are_not_finite_are_refused(broken, side):
    features = {"images": torch.eye(4), "texts": torch.eye(4)}
    features[side][2, 1] = broken
    pairs = torch.arange(4).unsqueeze(1).expand(4, 2)
    with pytest.raises(UserError, match="1 of 4"):
        image_to_text(features["images"], features["texts"], pairs)


def test_a_query_without_an_answer_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="1 queries"):
        ranks(torch.eye(2), torch.eye(2), torch.tensor([[0, 0]]))
