"""The losses of feature space on one process, each against its formula written with explicit sums."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ray_compt.distill.loss import (
    FeatureMaps,
    Side,
    contrastive_terms,
    embedding_terms,
    relational_terms,
    worker_share,
)

N, K, E, E_T = 6, 2, 5, 7
SCALE, TEACHER_SCALE = 10.0, 20.0
Pair = tuple[torch.Tensor, torch.Tensor]
HOLES = st.sets(st.integers(0, N - 1), max_size=N - 1)


def _features(seed: int, width: int) -> Pair:
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(N, width, generator=generator)
    text = torch.randn(N, K, width, generator=generator)
    return torch.nn.functional.normalize(image, dim=-1), torch.nn.functional.normalize(text, dim=-1)


def _side(features: Pair, scale: float) -> Side:
    """As the only worker sees a model's features."""
    return Side(*features, *features, scale)


def _valid(holes: set[int]) -> torch.Tensor:
    return torch.tensor([row not in holes for row in range(N)])


def _softmax(logits: list[float]) -> list[float]:
    largest = max(logits)
    powers = [math.exp(logit - largest) for logit in logits]
    return [power / sum(powers) for power in powers]


def _similarity(image: torch.Tensor, text: torch.Tensor, scale: float) -> list[list[float]]:
    """scale * image . text^T as plain numbers."""
    return [[scale * float(one @ other) for other in text.double()] for one in image.double()]


def _naive_embedding(student: Pair, teacher: Pair, valid: torch.Tensor) -> tuple[float, float]:
    rows = [row for row in range(N) if valid[row]]
    image = sum(1 - float(student[0][i] @ teacher[0][i]) for i in rows)
    text = sum(1 - float(student[1][i, k] @ teacher[1][i, k]) for i in rows for k in range(K)) / K
    return image / len(rows), text / len(rows)


def _naive_relational(student: Pair, teacher: Pair, valid: torch.Tensor) -> tuple[float, float]:
    rows = [row for row in range(N) if valid[row]]
    image = text = 0.0
    for k in range(K):
        found = _similarity(student[0][rows], student[1][rows, k], SCALE)
        taught = _similarity(teacher[0][rows], teacher[1][rows, k], TEACHER_SCALE)
        for i in range(len(rows)):
            columns = [[line[i] for line in matrix] for matrix in (taught, found)]
            for kind, (p, q) in enumerate(
                [(_softmax(taught[i]), _softmax(found[i])), tuple(map(_softmax, columns))]
            ):
                divergence = sum(a * math.log(a / b) for a, b in zip(p, q) if a > 0)
                image += divergence * (kind == 0)
                text += divergence * (kind == 1)
    return image / (2 * K * len(rows)), text / (2 * K * len(rows))


def _naive_contrastive(student: Pair, teacher: Pair, valid: torch.Tensor) -> tuple[float, float]:
    rows = [row for row in range(N) if valid[row]]
    image = text = 0.0
    for k in range(K):
        to_text = _similarity(student[0][rows], teacher[1][rows, k], SCALE)
        to_image = _similarity(student[1][rows, k], teacher[0][rows], SCALE)
        for i in range(len(rows)):
            image -= math.log(_softmax(to_text[i])[i])
            text -= math.log(_softmax(to_image[i])[i])
    return image / (2 * K * len(rows)), text / (2 * K * len(rows))


def _ours(kind: str, student: Pair, teacher: Pair, valid: torch.Tensor) -> Pair:
    """The terms of image and text, each as the loss of its tower alone."""
    if kind == "embedding":
        terms = embedding_terms(*student, *teacher)
    elif kind == "relational":
        terms = relational_terms(_side(student, SCALE), _side(teacher, TEACHER_SCALE), valid)
    else:
        taught = _side(teacher, TEACHER_SCALE)
        terms = contrastive_terms(*student, torch.tensor([SCALE]), taught, valid, 0)
    image, text = (worker_share(terms, tower, valid, valid.sum()) for tower in ("image", "text"))
    torch.testing.assert_close(worker_share(terms, "both", valid, valid.sum()), image + text)
    return image, text


@pytest.mark.parametrize(
    ("kind", "naive", "width"),
    [
        ("embedding", _naive_embedding, E_T),
        ("relational", _naive_relational, E),
        ("contrastive", _naive_contrastive, E_T),
    ],
)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), holes=HOLES)
def test_one_worker_computes_the_formula(kind: str, naive, width: int, seed: int, holes: set[int]) -> None:
    """Unreadable samples are neither rows nor candidates; `relational` compares models of different widths."""
    student, teacher, valid = _features(seed, width), _features(seed + 1, E_T), _valid(holes)
    for found, wanted in zip(_ours(kind, student, teacher, valid), naive(student, teacher, valid)):
        assert float(found) == pytest.approx(wanted, abs=2e-5, rel=2e-5)


@pytest.mark.parametrize("kind", ["embedding", "relational"])
def test_agreeing_with_the_teacher_costs_nothing(kind: str) -> None:
    student, valid = _features(0, E_T), _valid({2})
    if kind == "relational":
        own = _side(student, TEACHER_SCALE)
        turned = torch.linalg.qr(torch.randn(E_T, E_T, generator=torch.Generator().manual_seed(0)))[0]
        theirs = _side((student[0] @ turned, student[1] @ turned), TEACHER_SCALE)
        terms = relational_terms(own, theirs, valid)
    else:
        terms = embedding_terms(*student, *student)
    assert float(worker_share(terms, "both", valid, valid.sum())) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("kind", ["embedding", "relational", "contrastive"])
def test_a_batch_without_readable_samples_costs_nothing(kind: str) -> None:
    student, teacher, valid = _features(0, E_T), _features(1, E_T), _valid(set(range(N)))
    assert [float(term) for term in _ours(kind, student, teacher, valid)] == [0, 0]


def test_the_papers_loss_at_its_weight() -> None:
    """500 times the element-mean squared error at width 512 is 1.95 (1 - cos), images and texts summed."""
    (image, text), (teacher_image, teacher_text) = _features(3, 512), _features(4, 512)
    papers = 500 * ((image - teacher_image) ** 2).mean() + 500 * ((text - teacher_text) ** 2).mean()
    valid = _valid(set())
    terms = embedding_terms(image, text, teacher_image, teacher_text)
    ours = worker_share(terms, "both", valid, valid.sum())
    torch.testing.assert_close(1000 / 512 * ours, papers, atol=1e-5, rtol=1e-5)


def test_feature_maps_project_to_the_teachers_width_and_learn() -> None:
    maps = FeatureMaps(6, 4, seed=0)
    image, text = maps(torch.randn(3, 6), torch.randn(3, 2, 6))
    assert image.shape == (3, 4) and text.shape == (3, 2, 4)
    (image.sum() + text.sum()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in maps.parameters())
