"""clip_benchmark's linear probe, which runs on a GPU only."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ray_compt.evaluate.clip_benchmark import choose, evaluate_requests, open_subject
from tests.evaluate.clip_benchmark.conftest import digits, model  # noqa: F401

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_a_linear_probe_beats_guessing(model: Path, digits: Callable[..., Path], tmp_path: Path):  # noqa: F811
    folder = shutil.copytree(digits(), tmp_path / "digits")
    shutil.copytree(folder / "test", folder / "train")
    metrics, failures = evaluate_requests(
        open_subject(str(model), device="cuda"),
        choose(["linear_probe:wds/digits"]),
        str(folder),
        batch=32,
        finished=lambda request, outcome: None,
    )
    assert failures == []
    assert metrics["wds/digits/linear_probe_top1"] > 0.3
