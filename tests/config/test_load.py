"""Reading, merging and overriding a chain file that is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config import read_chain
from ray_compt.config.resolve import model_label
from ray_compt.models import FAMILY, model_name
from tests.config.files import GOOD, load


def test_a_stage_takes_the_shared_sections_and_its_own_keys_on_top(tmp_path: Path):
    first, second = load(tmp_path, GOOD).stages
    assert (first.train.lr, first.train.warmup_steps, first.train.global_batch) == (1e-3, 5, 96)
    assert (second.train.lr, second.train.warmup_steps, second.train.global_batch) == (5e-4, 0, 96)


def test_sections_inside_sections_merge_key_by_key(tmp_path: Path):
    first, second = load(tmp_path, GOOD).stages
    assert (first.transfer.distill.weight, first.transfer.distill.stop_at) == (1.5, 0.5)
    assert (second.transfer.distill.weight, second.transfer.distill.stop_at) == (0, 0.5)
    assert second.transfer.growth == "lossless"


def test_nested_and_flat_keys_mean_the_same(tmp_path: Path):
    flat = GOOD.replace("    lr: 5e-4\n", "    lr: 5e-4\n    growth: clone\n    betas: [0.8, 0.9]\n")
    nested = GOOD.replace(
        "    lr: 5e-4\n", "    train: {lr: 5e-4, betas: [0.8, 0.9]}\n    transfer: {growth: clone}\n"
    )
    assert load(tmp_path, flat) == load(tmp_path, nested)


def test_workers_and_teacher_merge_from_their_sections(tmp_path: Path):
    text = GOOD + "    workers: {max: 4}\n    teacher: {placement: inline}\nworkers: {min: 2, cpus: 3}\n"
    first, second = load(tmp_path, text).stages
    assert (first.workers.min, first.workers.most, second.workers.most) == (2, 2, 4)
    assert (second.workers.min, second.workers.cpus) == (2, 3)
    assert (first.teacher.placement, second.teacher.placement) == ("auto", "inline")


def test_a_section_with_every_line_commented_out_is_empty(tmp_path: Path):
    assert load(tmp_path, GOOD + "workers:\n  # min: 2\n").stages[0].workers.min == 1


def test_floats_without_a_dot_and_words_that_yaml_1_1_would_turn_into_booleans(tmp_path: Path):
    chain = load(tmp_path, GOOD.replace("name: small", "name: no"))
    assert chain.name == "no"
    assert chain.stages[0].train.lr == 0.001


def test_default_names_are_the_models_and_unique(tmp_path: Path):
    text = GOOD.replace("ViT-S-16", "ViT-T-16") + "  - {model: S, epochs: 1}\n"
    assert [stage.name for stage in load(tmp_path, text).stages] == ["ViT-T-16", "ViT-T-16-2", "ViT-S-16"]


def test_a_default_name_makes_way_for_a_given_one(tmp_path: Path):
    text = GOOD + "    name: ViT-T-16\n"
    assert [stage.name for stage in load(tmp_path, text).stages] == ["ViT-T-16-2", "ViT-T-16"]


@pytest.mark.parametrize(
    "model",
    [
        *FAMILY,
        "ViT-B-16",
        "hf-hub:org/model",
        {"vision_cfg": {"width": 48, "layers": 4, "patch_size": 8}},
        {"vision_cfg": {}},
        {"vision_cfg": {"width": 64, "layers": [3, 4, 6, 3]}},
        {"vision_cfg": {"timm_model_name": "swin_tiny_patch4_window7_224"}},
    ],
    ids=str,
)
def test_the_default_name_is_what_the_models_room_calls_it(model: str | dict[str, object]):
    assert model_label(model) == model_name(model)


@pytest.mark.parametrize(
    "overrides, epochs",
    [
        (["stages.1.epochs=12"], (3, 12)),
        (["stages.ViT-S-16.epochs=12"], (3, 12)),
        (["stages.*.epochs=1.5"], (1.5, 1.5)),
        (["stages.*.epochs=1", "stages.0.epochs=9"], (9, 1)),
    ],
)
def test_overrides_reach_stages_by_index_name_and_star(
    tmp_path: Path, overrides: list[str], epochs: tuple[float, float]
):
    assert tuple(stage.epochs for stage in load(tmp_path, GOOD, *overrides).stages) == epochs


def test_a_stage_called_with_dots_is_found(tmp_path: Path):
    chain = load(tmp_path, GOOD + "    name: v1.5.b\n", "stages.v1.5.b.lr=0.25")
    assert chain.stages[1].train.lr == 0.25


@pytest.mark.parametrize("key", ["lr", "train.lr"])
@pytest.mark.parametrize("written", ["    lr: 5e-4\n", "    train: {lr: 5e-4}\n"])
def test_an_override_wins_however_either_is_written(tmp_path: Path, key: str, written: str):
    chain = load(tmp_path, GOOD.replace("    lr: 5e-4\n", written), f"stages.1.{key}=0.5")
    assert chain.stages[1].train.lr == 0.5


def test_a_shared_override_leaves_a_stages_own_value(tmp_path: Path):
    assert [stage.train.lr for stage in load(tmp_path, GOOD, "train.lr=0.1").stages] == [0.1, 5e-4]


def test_an_override_creates_sections_and_reads_any_yaml(tmp_path: Path):
    chain = load(
        tmp_path,
        GOOD,
        "evaluate.batch=7",
        "data.val=[a/*.tar, 'b/{00..01}.tar']",
        'data.train="{0..3}.tar"',
        "data.augment.scale=[0.5, 1]",
        "stages.0.model={embed_dim: 8, vision_cfg: {width: 8}, text_cfg: {}}",
        "stages.0.model.vision_cfg.layers=3",
        "train.grad_clip=1",
        "stages.1.grad_clip=null",
    )
    assert chain.evaluate.batch == 7
    assert chain.data.val == ["a/*.tar", "b/{00..01}.tar"]
    assert chain.data.train == "{0..3}.tar"
    assert chain.data.augment.scale == (0.5, 1.0)
    assert chain.stages[0].model == {"embed_dim": 8, "vision_cfg": {"width": 8, "layers": 3}, "text_cfg": {}}
    assert [stage.train.grad_clip for stage in chain.stages] == [1.0, None]


def test_an_override_gives_what_the_file_leaves_open(tmp_path: Path):
    text = GOOD.replace("builtin:digits/train", "???")
    assert load(tmp_path, text, "data.train=x.tar").data.train == "x.tar"


def test_places_survive_merging(tmp_path: Path):
    file = tmp_path / "c.yaml"
    file.write_text(GOOD)
    loaded = read_chain(file, ["stages.1.epochs=9"])
    assert loaded.place("stages", 0, "train", "lr") == f"{file}:7"
    assert loaded.place("stages", 1, "train", "lr") == f"{file}:15"
    assert loaded.place("stages", 1, "model") == f"{file}:13"
    assert loaded.place("stages", 1, "epochs") == "--set stages.1.epochs=9"
    assert loaded.place("stages", 0, "workers", "min") == f"{file}:10"
