"""Values of the wrong type, out of range, or at odds with others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.config.files import (
    GOOD,
    bend,
    case,
    check_error,
    error_of,
    with_data,
    with_first_stage,
    with_train,
)

TRANSFER = "transfer: {growth: lossless, distill: {weight: 1.5, stop_at: 0.5}}"


@pytest.mark.parametrize(
    "lines, key, found, mend",
    [
        ("  lr: fast", "lr: expected a number, above 0", "the text 'fast'", "for example lr: 0.001"),
        (
            "  lr: '1e-3'",
            "lr: expected a number, above 0",
            "the text '1e-3'",
            "write lr: 1e-3 without quotes",
        ),
        ("  lr: 0", "lr: expected a number, above 0", "0", "for example lr: 0.001"),
        ("  lr: .inf", "lr: expected a number, above 0", "inf", "for example lr: 0.001"),
        ("  lr:", "lr: expected a number, above 0", "nothing (null)", "for example lr: 0.001"),
        ("  lr: {a: 1}", "lr: expected a number, above 0", "a mapping (a)", "for example lr: 0.001"),
        ("  warmup_steps: 1.5", "warmup_steps: expected a whole number, 0 or more", "1.5", "warmup_steps: 0"),
        ("  warmup_steps: -1", "warmup_steps: expected a whole number, 0 or more", "-1", "warmup_steps: 0"),
        ("  eps: true", "eps: expected a number, above 0", "true", "for example eps: 1e-06"),
        ("  schedule: step", "schedule: expected one of cosine, wsd", "the text 'step'", "schedule: cosine"),
        ("  zero_stage: 4", "zero_stage: expected one of 0, 1, 2, 3", "4", "for example zero_stage: 1"),
        (
            "  activation_checkpointing: yes",
            "activation_checkpointing: expected true or false",
            "the text 'yes'",
            "for example activation_checkpointing: false",
        ),
        (
            "  grad_clip: 0",
            "grad_clip: expected a number, above 0, or null",
            "0",
            "write grad_clip: a number",
        ),
        ("  betas: [0.9]", "betas: expected a list of 2 numbers", "the list [0.9]", "betas: [0.9, 0.98]"),
        ("  betas: 0.9", "betas: expected a list of 2 numbers", "0.9", "betas: [0.9, 0.98]"),
        ("  deepspeed: 1", "deepspeed: expected a mapping", "1", "deepspeed: {}"),
    ],
)
def test_wrong_type_or_range(tmp_path: Path, lines: str, key: str, found: str, mend: str):
    check_error(tmp_path, with_train(lines), 7, f"train.{key}, found {found}", mend)


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        case(
            bend("weight: 1.5", "weight: much"),
            8,
            "transfer.distill.weight: expected a number or auto, found the text 'much'",
            "for example weight: auto",
            id="union",
        ),
        case(
            bend("builtin:digits/train", "\n    - a\n    - 3"),
            5,
            "data.train: expected text or a list of texts, found the list ['a', 3]",
            "write train: text or a list of texts",
            id="item of a list",
        ),
        case(
            bend("    epochs: 2", "    epochs: true"),
            14,
            "stages.1.epochs: expected a number, above 0 and at most 1000000000000, found true",
            "write epochs: a number, above 0",
            id="stage",
        ),
        case(
            "name: x\ndata: {train: a}\nstages: []\n",
            3,
            "stages: expected a list of sections, not empty, found a list of 0",
            "write stages",
            id="no stages",
        ),
        case(
            "name: x\ndata: {train: a}\nstages: 3\n",
            3,
            "stages: expected a list of sections, not empty, found 3",
            "write stages",
            id="stages no list",
        ),
        case(
            GOOD + "  - ViT-B-16\n",
            17,
            "stages.2: expected a section with model and epochs, found the text 'ViT-B-16'",
            "write for example - {model: ViT-S-16, epochs: 24}",
            id="stage no section",
        ),
        case(
            bend(TRANSFER, "transfer: clone"),
            8,
            "transfer: expected a section of keys, found the text 'clone'",
            "write transfer: a section of keys",
            id="shared section no section",
        ),
        case(
            with_first_stage("    workers: 2"),
            12,
            "stages.0.workers: expected a section of keys, found 2",
            "write workers: a section of keys",
            id="section of a stage no section",
        ),
        case(
            bend("name: small", "name: a/b"),
            1,
            "name: expected text, at most 100 long and made of letters, digits, . _ and -, found the text 'a/b'",
            "write name",
            id="name",
        ),
        case(
            with_first_stage("    name: ../x"),
            12,
            "stages.0.name: expected text, at most 100 long and made of letters",
            "write name",
            id="stage name",
        ),
        case(
            bend("builtin:digits/train", "???"),
            3,
            "data.train has no value yet",
            "--set data.train=...",
            id="left open",
        ),
    ],
)
def test_bad_value(tmp_path: Path, text: str, line: int, message: str, mend: str):
    check_error(tmp_path, text, line, message, mend)


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        case(
            bend("global_batch: 96", "global_batch: 98"),
            6,
            "train.global_batch: a batch of 98 cannot take as many samples from each of 4 lanes",
            "a multiple of 4, for example 96",
            id="batch and lanes",
        ),
        case(
            bend("  global_batch: 96\n", "", with_data("  lanes: 7")),
            4,
            "data.lanes: a batch of 1024 cannot take as many samples from each of 7 lanes",
            "a multiple of 7, for example 1022",
            id="default batch and lanes",
        ),
        case(
            GOOD + "workers: {min: 3}\n",
            17,
            "workers.min: 3 workers cannot share 4 lanes and a batch of 96 equally",
            "use one of 1, 2, 4",
            id="workers",
        ),
        case(
            GOOD + "workers:\n  min: 4\n  max: 2\n",
            19,
            "workers.max: 2 is below min 4",
            "write max: 4 or more",
            id="max below min",
        ),
        case(
            with_train("  precision: fp16"),
            7,
            "train.precision: fp16 needs GPUs",
            "precision: bf16",
            id="fp16",
        ),
        case(
            with_train("  micro_batch: 0"),
            7,
            "train.micro_batch: 0 samples cannot run",
            "write 1 or more, auto or null",
            id="micro-batch of nothing",
        ),
        case(
            with_train("  zero_stage: 0\n  precision: bf16"),
            8,
            "train.precision: bf16 needs zero_stage 1",
            "write zero_stage: 1",
            id="bf16 at stage 0",
        ),
        case(
            with_train("  zero_stage: 3\n  compile: true"),
            8,
            "train.compile: zero_stage 3 fetches weights",
            "write zero_stage: 2, or compile: false",
            id="compiled at stage 3",
        ),
        case(
            bend("    lr: 5e-4", "    final_lr: 5e-2"),
            15,
            "stages.1.final_lr: 0.05 is above the peak lr 0.001",
            "below lr",
            id="final above peak",
        ),
        case(with_train("  betas: [0.9, 1]"), 7, "train.betas: [0.9, 1] are no decay rates", "below 1"),
        case(
            with_data("  augment: {ratio: [2, 1]}"),
            4,
            "data.augment.ratio: [2, 1] is no range",
            "[least, most]",
        ),
        case(
            with_data("  augment: {scale: [0.5, 2]}"),
            4,
            "data.augment.scale: a crop cannot keep 2",
            "at most 1",
        ),
        case(
            with_data("  augment: {color_jitter: [0, 0, 0, -1]}"),
            4,
            "data.augment.color_jitter: a change cannot be negative",
            "0 or more",
        ),
        case(
            with_data("  class_templates: [hello]"), 4, "data.class_templates: the prompt 'hello'", "write {}"
        ),
        case(bend("weight: 1.5", "weight: -1"), 8, "transfer.distill.weight: -1 is negative", "0 or more"),
        case(
            bend("    epochs: 2", "    epochs: 2\n    name: a", with_first_stage("    name: a")),
            16,
            "stages.1.name: stage 0 is called a too",
            "give every stage its own name",
            id="names",
        ),
    ],
)
def test_broken_rule(tmp_path: Path, text: str, line: int, message: str, mend: str):
    check_error(tmp_path, text, line, message, mend)


def test_all_problems_come_at_once_in_the_order_of_the_lines(tmp_path: Path):
    text = bend("epochs: 2", "epochs: 0", bend("  lr: 1e-3", "  lrr: 1", with_data("  lanes: many")))
    error = error_of(tmp_path, text)
    assert error.where == str(tmp_path / "c.yaml")
    assert error.message.startswith("3 problems\n")
    assert re.findall(r":(\d+): ([\w.]+):", error.message) == [
        ("4", "data.lanes"),
        ("7", "train.lrr"),
        ("14", "stages.1.epochs"),
    ]
    assert error.message.count("mend:") == 3


@pytest.mark.parametrize(
    "text",
    [
        bend("global_batch: 96", "global_batch: 0"),
        bend("global_batch: 96", "global_batch: 98"),
        with_train("  zero_stage: 0\n  precision: bf16"),
        bend("stop_at: 0.5", "stop_at: ???"),
    ],
)
def test_a_mistake_that_stages_share_is_told_once(tmp_path: Path, text: str):
    assert "problems" not in error_of(tmp_path, text).message
