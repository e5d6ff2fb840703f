"""Features: those of the model, bit for bit the same whoever else is computed with."""

from __future__ import annotations

import shutil
from pathlib import Path

import open_clip
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_compt.errors import UserError
from ray_compt.teacher.frozen import FrozenModel, by_length, precision_error
from tests.teacher.models import MEAN, STD, make_batches, make_teacher

BATCH = make_batches(1, rows=24)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    make_teacher(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> FrozenModel:
    return FrozenModel(make_teacher(folder), "cpu")


def test_features_are_open_clips_own(folder: Path, model: FrozenModel) -> None:
    clip, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    clip = clip.eval()
    pixels = (BATCH.image / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        wanted_image = clip.encode_image(pixels, normalize=True)
        wanted_text = clip.encode_text(BATCH.text.flatten(0, 1), normalize=True).unflatten(0, (24, 2))
    image, text = model.embed(BATCH.image, BATCH.text)
    torch.testing.assert_close(image, wanted_image, atol=1e-6, rtol=0)
    torch.testing.assert_close(text, wanted_text, atol=1e-6, rtol=0)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(24)), st.integers(1, 24))
def test_no_bit_depends_on_the_other_samples(model: FrozenModel, order: list[int], count: int) -> None:
    image, text = model.embed(BATCH.image, BATCH.text)
    some = order[:count]
    image_again, text_again = model.embed(BATCH.image[some], BATCH.text[some])
    assert torch.equal(image_again, image[some])
    assert torch.equal(text_again, text[some])


def test_lower_precision_is_near_and_its_error_is_measured(tmp_path: Path) -> None:
    spec = make_teacher(tmp_path, precision="bf16")
    found = FrozenModel(spec, "cpu").embed(BATCH.image, BATCH.text)
    error = precision_error(spec, torch.device("cpu"), BATCH.image, BATCH.text, found)
    assert found[0].dtype == torch.float32
    assert 1e-7 < error < 1e-2
    exact = FrozenModel(make_teacher(tmp_path), "cpu").embed(BATCH.image, BATCH.text)
    assert error == pytest.approx(
        max(float((1 - (a * b).sum(-1)).max()) for a, b in zip(found, exact)), abs=1e-6
    )


@given(st.lists(st.integers(1, 12), min_size=1, max_size=40), st.integers(1, 8), st.booleans())
def test_every_caption_lies_whole_in_one_part(ends: list[int], rows: int, short: bool) -> None:
    captions = torch.tensor([[*range(1, end), 99, *[7] * (12 - end)] for end in ends])
    parts, places = by_length(captions, rows, short)
    assert all(len(part) == rows for (part,) in parts)
    lying = [row for (part,) in parts for row in part.tolist()]
    for end, caption, place in zip(ends, captions.tolist(), places.tolist()):
        assert lying[place][:end] == caption[:end]
        assert len(lying[place]) == (
            12 if not short else next(length for length in (3, 6, 12) if end <= length)
        )


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
def test_a_compiled_teacher_says_the_same(tmp_path: Path, model: FrozenModel) -> None:
    compiled = FrozenModel(make_teacher(tmp_path, compile=True), "cpu")
    for one, other in zip(compiled.embed(BATCH.image, BATCH.text), model.embed(BATCH.image, BATCH.text)):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_a_model_that_is_not_there_is_a_message(tmp_path: Path) -> None:
    spec = make_teacher(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no model here"):
        FrozenModel(spec, "cpu")
