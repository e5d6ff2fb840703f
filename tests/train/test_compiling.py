"""Compiled towers compute the same, keep their weights' names, and say what to do where they do not compile."""

from __future__ import annotations

from functools import partialmethod
from typing import Any

import pytest
import torch
from torch import nn

from ray_compt.errors import UserError
from ray_compt.models import build_model
from ray_compt.models.short_text import without_padding
from ray_compt.train.compiling import compile_towers, compiling_explained
from tests.train.tiny import MODEL, make_job

CUSTOM = {**MODEL, "custom_text": True}


def features(model: Any, captions: int) -> list[torch.Tensor]:
    """Both towers' features and one gradient of each."""
    generator = torch.Generator().manual_seed(captions)
    image = torch.randn(2, 3, 8, 8, generator=generator)
    text = torch.randint(1, 64, (captions, 6), generator=generator)
    found = [model.encode_image(image), model.encode_text(without_padding(model, text))]
    model.zero_grad()
    sum(part.sum() for part in found).backward()
    return found + [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("config", [MODEL, CUSTOM], ids=["one-module", "custom-text"])
def test_they_compute_the_same_under_the_same_names(
    monkeypatch: pytest.MonkeyPatch, config: dict[str, Any]
) -> None:
    # Everything of torch.compile but its code generator, which takes minutes without a GPU.
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    plain, compiled = build_model(config, seed=0), build_model(config, seed=0)
    compile_towers(compiled)
    for captions in (1, 3):
        for ours, theirs in zip(features(compiled, captions), features(plain, captions), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    assert compiled.state_dict().keys() == plain.state_dict().keys()


def test_a_tower_that_does_not_compile_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend=broken))
    model = build_model(MODEL, seed=0)
    compile_towers(model)
    with (
        pytest.raises(
            UserError,
            match=r"(?s)stage stage: torch.compile failed: RuntimeError: no C\+\+ compiler\n.*compile: false",
        ),
        compiling_explained(make_job(1, "fp32", str(tmp_path), compile=True)),
    ):
        features(model, 1)
