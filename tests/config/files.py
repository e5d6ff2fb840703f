"""A small chain file that the tests bend, and helpers that load a text as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config import Chain, load_chain
from ray_compt.errors import UserError

# Tests name its lines by number: edit with care.
GOOD = """\
name: small
data:
  train: builtin:digits/train
  lanes: 4
train:
  global_batch: 96
  lr: 1e-3
transfer: {growth: lossless, distill: {weight: 1.5, stop_at: 0.5}}
stages:
  - model: ViT-T-16
    epochs: 3
    warmup_steps: 5
  - model: ViT-S-16
    epochs: 2
    lr: 5e-4
    distill: {weight: 0}
"""


def load(folder: Path, text: str, *overrides: str) -> Chain:
    file = folder / "c.yaml"
    file.write_text(text, encoding="utf-8")
    return load_chain(file, overrides)


def error_of(folder: Path, text: str, *overrides: str) -> UserError:
    with pytest.raises(UserError) as caught:
        load(folder, text, *overrides)
    return caught.value


def check_error(folder: Path, text: str, line: int, message: str, mend: str) -> None:
    """The text is refused at that line, with that message and mend (or those parts of them)."""
    error = error_of(folder, text)
    assert error.where == f"{folder / 'c.yaml'}:{line}", error
    assert message in error.message
    assert mend in (error.mend or "")


def bend(old: str, new: str, text: str = GOOD) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def with_train(lines: str) -> str:
    """GOOD with these lines in place of line 7, `lr: 1e-3`."""
    return bend("  lr: 1e-3", lines)


def with_data(lines: str) -> str:
    """GOOD with these lines in place of line 4, `lanes: 4`."""
    return bend("  lanes: 4", lines)


def with_first_stage(lines: str) -> str:
    """GOOD with these lines below line 11, `epochs: 3`."""
    return bend("    epochs: 3\n", f"    epochs: 3\n{lines}\n")


case = pytest.param
