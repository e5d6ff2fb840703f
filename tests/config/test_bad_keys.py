"""Keys that are unknown, missing, in the wrong place or given twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import GOOD, bend, case, check_error, with_data, with_first_stage, with_train


@pytest.mark.parametrize(
    "text, line, message, mend",
    [
        case(
            bend("transfer:", "transfers:"), 8, "transfers: unknown key", "did you mean transfer?", id="top"
        ),
        case(with_train("  lrr: 1"), 7, "train.lrr: unknown key", "did you mean lr?", id="shared section"),
        case(
            with_first_stage("    warmup: 1"),
            12,
            "stages.0.warmup: unknown key",
            "did you mean warmup_steps?",
            id="stage",
        ),
        case(
            with_first_stage("    train: {warmup: 1}"),
            12,
            "stages.0.train.warmup: unknown key",
            "did you mean warmup_steps?",
            id="section of a stage",
        ),
        case(
            with_data("  augment:\n    scales: [1, 1]"),
            5,
            "data.augment.scales: unknown key",
            "did you mean scale?",
            id="section in a section",
        ),
        case(with_data("  zzzz: 4"), 4, "data.zzzz: unknown key", "use one of train, val, samples", id="far"),
        case(GOOD + "lr: 1\n", 17, "lr: unknown key", "write it in train", id="outside its section"),
        case(with_train("  lanes: 4"), 7, "train.lanes: unknown key", "write it in data", id="other section"),
        case(
            with_first_stage("    min: 2"),
            12,
            "stages.0.min: unknown key",
            "write it in workers (also inside the stage)",
            id="section key in a stage",
        ),
        case(
            with_first_stage("    lanes: 2"),
            12,
            "stages.0.lanes: unknown key",
            "write it in data",
            id="chain key in a stage",
        ),
        case(
            with_train("  epochs: 3"),
            7,
            "train.epochs: unknown key",
            "write it in individual or a stage",
            id="stage key in a section",
        ),
        case(
            with_train("  seed: 3"),
            7,
            "train.seed: unknown key",
            "write it in the file's top level",
            id="top key in a section",
        ),
        case(
            bend("    lr: 5e-4", "    lr: 5e-4\n    train: {lr: 1}"),
            15,
            "lr is given twice in this stage",
            "keep lr or train.lr",
            id="flat and nested",
        ),
        case(
            "name: x\nstages:\n  - {model: S, epochs: 1}\n",
            1,
            "data: missing",
            "add data: a section of keys",
            id="missing section",
        ),
        case("data: {train: a}\nstages:\n  - {model: S, epochs: 1}\n", 1, "name: missing", "add name: text"),
        case(
            bend("    epochs: 2\n", ""),
            13,
            "stages.1.epochs: missing",
            "add epochs: a number, above 0",
            id="missing key",
        ),
    ],
)
def test_bad_key(tmp_path: Path, text: str, line: int, message: str, mend: str):
    check_error(tmp_path, text, line, message, mend)


@pytest.mark.parametrize(
    "lines, line, message, mend",
    [
        case(
            "    fp16: {enabled: true}",
            8,
            "fp16: not handed to DeepSpeed: the precision is a key of ours",
            "set train.precision instead",
            id="ours",
        ),
        case(
            "    zero_optimization:\n      stage: 2",
            9,
            "zero_optimization.stage: not handed to DeepSpeed",
            "set train.zero_stage instead",
            id="ours, below",
        ),
        case(
            "    zero_optimization:\n      overlap_comm: true\n      offload_optimizer: {device: cpu}",
            10,
            "zero_optimization.offload_optimizer: not handed to DeepSpeed: offloaded optimizer states",
            "remove it",
            id="inexact",
        ),
        case(
            "    zero_optimisation: {}",
            8,
            "zero_optimisation: unknown DeepSpeed key",
            "did you mean zero_optimization?",
            id="unknown",
        ),
        case(
            "    communication_data_type: fp16",
            8,
            "communication_data_type: not handed to DeepSpeed: it rounds",
            "remove it, or write fp32",
            id="value",
        ),
        case(
            "    zero_optimization: true",
            8,
            "a section of keys is expected",
            "train.zero_stage",
            id="no section",
        ),
    ],
)
def test_bad_deepspeed_key(tmp_path: Path, lines: str, line: int, message: str, mend: str):
    text = with_train(f"  deepspeed:\n{lines}")
    check_error(
        tmp_path, text, line, f"train.deepspeed.{message}" if "section" not in message else message, mend
    )
