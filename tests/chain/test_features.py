"""What a feature cache belongs to, how large it may get, and how a stage finds it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ray_compt.chain.features import LIBRARIES, cache_spec, check_caches, look_up
from ray_compt.chain.inputs import Inputs
from ray_compt.chain.ledger import StageEntry
from ray_compt.chain.prepare import prepare
from ray_compt.chain.smoke import smoke_chain
from ray_compt.config import load_chain
from ray_compt.config.schema import Chain
from ray_compt.data import Order, open_index
from ray_compt.errors import UserError
from ray_compt.models import build_model, save_model
from ray_compt.teacher import TeacherSpec
from ray_compt.teacher.feature_cache import CacheSpec
from ray_compt.teacher.spec import weights_digest
from tests.integration.harness import tiny_model
from tests.teacher.fakes import Stage, spec

MODEL = tiny_model(16)
ORDER = Order(3, (23, 0, 9, 13), 8, 4, 2)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> TeacherSpec:
    folder = tmp_path_factory.mktemp("teacher")
    state = build_model(MODEL, seed=1).state_dict()
    save_model(folder, state, MODEL, mean=(0.5,) * 3, std=(0.5,) * 3)
    return TeacherSpec(str(folder), weights_digest(str(folder)), (0.5,) * 3, (0.5,) * 3)


def chain(folder: Path, teacher: dict[str, Any] | None = None, **changes: Any) -> Chain:
    """Two stages on digits, of which the second one keeps features."""
    content: dict[str, Any] = {
        "name": "tiny",
        "data": {"train": "builtin:digits/train", "image_size": 8, "lanes": 4, **changes.pop("data", {})},
        "train": {"global_batch": 64},
        "teacher": {"cache": str(folder / "cache"), **(teacher or {})},
        "stages": [
            {"model": MODEL, "epochs": 1, "name": "a"},
            {"model": tiny_model(32), "epochs": 1, "name": "b"},
        ],
        **changes,
    }
    file = folder / "chain.yaml"
    file.write_text(json.dumps(content))  # JSON is YAML.
    return load_chain(file)


def inputs(of: Chain) -> Inputs:
    return Inputs(of, open_index(of.data.train, of.data, "unused"), None)


def cache_of(of: Chain, teacher: TeacherSpec, student: dict[str, Any] = MODEL, data: str = "d") -> CacheSpec:
    path = of.stages[1].teacher.cache
    assert path is not None
    return cache_spec(of, path, teacher, MODEL, inputs(of).preprocess(student), data)


def check(of: Chain, state: str = "pending") -> None:
    entries = [StageEntry(stage.name, stage.name, "m", 1, state=state) for stage in of.stages]  # type: ignore[arg-type]
    check_caches(of, prepare(of), entries, inputs(of), None)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"data": {"image_size": 16}},
        {"data": {"captions_per_image": 2}},
        {"data": {"caption_field": "other"}},
        {"data": {"augment": {"scale": [0.5, 1.0]}}},
    ],
)
def test_whatever_makes_other_pictures_or_captions_is_another_identity(tmp_path, teacher, changes):
    one = cache_of(chain(tmp_path), teacher)
    image_size = changes.get("data", {}).get("image_size", 8)
    model = {**MODEL, "vision_cfg": {**MODEL["vision_cfg"], "image_size": image_size}}
    stages = [{"model": model, "epochs": 1, "name": "a"}, {"model": model, "epochs": 1, "name": "b"}]
    assert cache_of(chain(tmp_path, stages=stages, **changes), teacher).digest != one.digest


def test_another_teacher_or_other_data_is_another_identity(tmp_path, teacher):
    of = chain(tmp_path)
    found = {cache_of(of, teacher).digest, cache_of(of, teacher, data="e").digest}
    found.add(cache_of(of, replace(teacher, precision="bfloat16")).digest)
    found.add(cache_of(of, replace(teacher, mean=(0.4,) * 3)).digest)
    other = tmp_path / "other"
    save_model(other, build_model(MODEL, seed=2).state_dict(), MODEL, mean=(0.5,) * 3, std=(0.5,) * 3)
    found.add(cache_of(of, replace(teacher, weights=weights_digest(str(other)))).digest)
    assert len(found) == 5


def test_what_does_not_change_features_keeps_the_identity(tmp_path, teacher):
    """Another student, order of samples, worker count or number of drawn epochs; the teacher's copy elsewhere."""
    one = cache_of(chain(tmp_path), teacher)
    data = {"lanes": 8, "window_batches": 2, "augment_epochs": 3}
    other = chain(tmp_path, data=data, train={"global_batch": 128}, workers={"min": 2})
    copy = tmp_path / "copy"
    save_model(copy, build_model(MODEL, seed=1).state_dict(), MODEL, mean=(0.5,) * 3, std=(0.5,) * 3)
    moved = replace(teacher, folder=str(copy), weights=weights_digest(str(copy)))
    two = cache_of(other, moved, tiny_model(64))
    assert (two.digest, two.augment_epochs) == (one.digest, 3)
    assert set(one.identity["libraries"]) == set(LIBRARIES)


def test_more_than_the_limit_ends_the_run_before_it_begins(tmp_path):
    """22 steps of 64 samples, of which a predecessor that trained as long teaches the first half."""
    size = 11 * 64 * 2 * 16 * 2
    check(chain(tmp_path, {"cache_limit_gb": size / 1e9}))
    with pytest.raises(
        UserError, match=r"would take 45.1 kB \(704 samples of all epochs x \(1 \+ 1\) x 16"
    ) as caught:
        check(chain(tmp_path, {"cache_limit_gb": (size - 1) / 1e9}))
    assert caught.value.where == "stage b"
    check(chain(tmp_path, {"cache_limit_gb": (size - 1) / 1e9}), state="done")
    check(chain(tmp_path, {"cache_limit_gb": 1e-9, "cache": None}))
    check(chain(tmp_path, {"cache_limit_gb": 1e-9}, transfer={"distill": {"weight": 0.0}}))


def test_a_file_in_place_of_the_cache_is_an_error(tmp_path):
    (tmp_path / "cache").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        check(chain(tmp_path))


def test_a_stage_learns_whether_all_its_features_are_there(tmp_path):
    state = look_up(spec(tmp_path), ORDER, 7)
    assert not state.complete
    assert "at most 1.0 kB (56 samples of all epochs x (1 + 2) x 3 x 2 bytes)" in state.line
    Stage(ORDER, spec(tmp_path), 7).run(2)
    state = look_up(spec(tmp_path), ORDER, 7)
    assert state.complete and state.line == f"features from the cache {spec(tmp_path).folder}"
    assert not look_up(spec(tmp_path), ORDER, 8).complete


def test_the_identity_lies_beside_the_features_and_is_checked(tmp_path):
    cache = spec(tmp_path)
    look_up(cache, ORDER, 7)
    file = Path(str(cache.folder)) / "identity.json"
    assert json.loads(file.read_text()) == cache.identity
    for content in (json.dumps({**cache.identity, "teacher": "u"}), "{", "[" * 100_000, ""):
        file.write_text(content)
        with pytest.raises(UserError, match="another teacher") as caught:
            look_up(cache, ORDER, 7)
        assert caught.value.where == str(file)
        assert str(cache.folder) in str(caught.value.mend)


def test_a_cache_that_cannot_be_used_is_said_and_not_raised(tmp_path):
    (tmp_path / "file").write_text("x")
    state = look_up(spec(tmp_path / "file"), ORDER, 7)
    assert not state.complete and "cannot be used" in state.line


def test_a_rehearsal_keeps_no_features(tmp_path):
    rehearsed = smoke_chain(chain(tmp_path), "builtin:digits/train", gpus=False)
    assert [stage.teacher.cache for stage in rehearsed.stages] == [None, None]
