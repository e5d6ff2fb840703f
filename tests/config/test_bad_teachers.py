"""`transfer.distill`: its kinds and its list of teachers."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config.distill_keys import TeacherChoice
from tests.config.files import bend, case, check_error, load

OUTSIDE = "{model: /models/large}"


def _with(distill: str) -> str:
    """GOOD with this section in its second stage, at line 16."""
    return bend("    distill: {weight: 0}", f"    distill: {{{distill}}}")


@pytest.mark.parametrize(
    "distill, message, mend",
    [
        case("kind: cosine", "distill.kind: expected one of embedding, relational, contrastive", "embedding"),
        case("towers: vision", "distill.towers: expected one of both, image, text", "towers: both"),
        case("teachers: []", "distill.teachers: expected", "write teachers: a list of sections"),
        case("teachers: ViT-T-16", "found the text 'ViT-T-16'", "write teachers: a list of sections"),
        case("teachers: [ViT-T-16]", "teachers.0: expected a section with model and weight", "{model: "),
        case("teachers: [{weight: 1.0}]", "teachers.0.model: missing", "add model: text, not empty"),
        case("teachers: [{model: ''}]", "model: expected text, not empty", "write model: text"),
        case("teachers: [{model: ViT-T-16, weight: 0}]", "weight: expected a number, above 0", "weight: 1.0"),
        case("teachers: [{model: ViT-T-16, wait: 1}]", "wait: unknown key", "did you mean weight?"),
        case("teachers: [{model: ViT-S-16}]", "ViT-S-16 is not trained before", "name an earlier stage"),
        case(f"teachers: [{OUTSIDE}, {OUTSIDE}]", "/models/large is named twice", "keep one"),
    ],
)
def test_bad_distill(tmp_path: Path, distill: str, message: str, mend: str) -> None:
    check_error(tmp_path, _with(distill), 16, message, mend)


def test_earlier_stages_and_models_from_outside_teach(tmp_path: Path) -> None:
    chain = load(
        tmp_path, _with(f"teachers: [{{model: ViT-T-16, weight: 2.0}}, {OUTSIDE}], kind: relational")
    )
    first, second = (stage.transfer.distill for stage in chain.stages)
    assert second.teachers == [
        TeacherChoice(model="ViT-T-16", weight=2.0),
        TeacherChoice(model="/models/large"),
    ]
    assert (first.teachers, first.kind, second.kind) == (None, "embedding", "relational")


def test_a_shared_list_of_outside_models_holds_for_every_stage(tmp_path: Path) -> None:
    text = bend("distill: {weight: 1.5, stop_at: 0.5}", f"distill: {{teachers: [{OUTSIDE}]}}")
    chain = load(tmp_path, text)
    assert all(stage.transfer.distill.teachers for stage in chain.stages)
    later = text.replace("/models/large", "ViT-T-16")
    check_error(tmp_path, later, 8, "ViT-T-16 is not trained before stage ViT-T-16", "inside the stages")
