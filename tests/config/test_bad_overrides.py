"""Overrides that are wrong: the override itself is the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import GOOD, error_of

QUOTE = "quote a text with special characters"


@pytest.mark.parametrize(
    "override, message, mend",
    [
        (
            "train.lr=abc",
            "train.lr: expected a number, above 0, found the text 'abc'",
            "for example lr: 0.001",
        ),
        ("train.lrr=1", "train.lrr: unknown key", "did you mean lr?"),
        ("trian.lr=1", "trian: unknown key", "did you mean train?"),
        ("stages.0.warmup=1", "stages.0.warmup: unknown key", "did you mean warmup_steps?"),
        (
            "stages.0.warmup_steps=-1",
            "stages.0.warmup_steps: expected a whole number, 0 or",
            "warmup_steps: 0",
        ),
        ("stages.*.lr=-1", "stages.*.lr: expected a number, above 0, found -1", "for example lr: 0.001"),
        ("train.lr", "no KEY=VALUE", "--set train.lr=3e-4"),
        ("=3", "no KEY=VALUE", "--set train.lr=3e-4"),
        ("train..lr=3", "no KEY=VALUE", "--set train.lr=3e-4"),
        ("stages.2.epochs=1", "there is no stage 2", "the stages are 0 ViT-T-16, 1 ViT-S-16"),
        ("stages.-1.epochs=1", "there is no stage called -1", "use one of ViT-T-16, ViT-S-16"),
        ("stages.ViT-S-17.epochs=1", "there is no stage called ViT-S-17", "did you mean ViT-S-16?"),
        ("name.x=1", "name is the text 'small' and has no key x", "set name as a whole"),
        ("stages.0.model.width=3", "stages.0.model is the text 'ViT-T-16'", "set stages.0.model as a whole"),
        ("data.train={a..b", "malformed YAML", QUOTE),
        ("data.train=*.tar", "malformed YAML", QUOTE),
        ("seed=!!python/name:os.system x", "the YAML tag !!python/name:os.system", QUOTE),
        ("data.train=", "data.train: expected text or a list of texts, found nothing", "write train"),
        ("data.val=???", "data.val has no value yet", "--set data.val=..."),
        ("stages=3", "stages: expected a list of sections, not empty, found 3", "write stages"),
        ("train=3", "train: expected a section of keys, found 3", "write train"),
        ("workers.min=3", "workers.min: 3 workers cannot share 4 lanes", "use one of 1, 2, 4"),
        ("data.lanes=5", "train.global_batch: a batch of 96", "multiple of 5"),
        ("train.deepspeed.bf16={enabled: true}", "train.deepspeed.bf16: not handed", "train.precision"),
    ],
)
def test_bad_override(tmp_path: Path, override: str, message: str, mend: str):
    error = error_of(tmp_path, GOOD, override)
    if not message.startswith("train.global_batch"):  # line 6 of the file does not fit the override
        assert error.where == f"--set {override}"
    assert message in error.message
    assert mend in (error.mend or "")


def test_an_item_of_a_list_that_is_not_there(tmp_path: Path):
    error = error_of(tmp_path, GOOD, "train.betas=[0.8, 0.9]", "train.betas.2=3")
    assert error.message == "train.betas is a list of 2 and has no item 2"
    assert error.where == "--set train.betas.2=3"


def test_one_override_on_all_stages_is_one_problem(tmp_path: Path):
    assert "problems" not in error_of(tmp_path, GOOD, "stages.*.lr=-1").message
