"""A base chain of four sizes and a sweep file over it that the tests bend, and what makes a plan of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ray_compt.config.schema import Chain
from ray_compt.config.sweep_file import LoadedSweep, load_sweep
from ray_compt.errors import UserError
from ray_compt.sweep.check import check_sweep
from ray_compt.sweep.models import Growable, Models
from ray_compt.sweep.plan import SweepPlan

CHAIN = """\
name: base
data:
  train: builtin:digits/train
  val: builtin:digits/val
  lanes: 4
train: {global_batch: 96, lr: 1e-3, warmup_steps: 5}
transfer: {growth: lossless}
stages:
  - {model: T, epochs: 100, warmup_steps: 50, micro_batch: 8}
  - {model: S, epochs: 20, lr: 5e-4, micro_batch: 4}
  - {model: B, epochs: 15}
  - {model: L, epochs: 10, workers: {cpus: 2}}
"""

# Tests name its lines by number: edit with care.
SWEEP = """\
name: small
chain: base
space:
  train.weight_decay: {choice: [0.1, 0.2]}
  stages.*.epochs: 3
chains:
  subsets_of: [T, S, B, L]
objective: {metric: zero_shot_top1}
"""

MACS = (1, 2, 6, 24)


def load(folder: Path, sweep: str = SWEEP, *overrides: str, chain: str = CHAIN) -> LoadedSweep:
    (folder / "base.yaml").write_text(chain, encoding="utf-8")
    (folder / "s.yaml").write_text(sweep, encoding="utf-8")
    return load_sweep(folder / "s.yaml", overrides)


def all_grow(small: int, large: int, growth: str) -> str | None:
    return None


def plan(
    folder: Path,
    sweep: str = SWEEP,
    *overrides: str,
    chain: str = CHAIN,
    macs: tuple[int, ...] = MACS,
    ungrowable: Growable = all_grow,
) -> SweepPlan:
    def measure(chain: Chain) -> Models:
        return Models(macs[: len(chain.stages)], ungrowable)

    return check_sweep(load(folder, sweep, *overrides, chain=chain), measure)


def check_error(folder: Path, sweep: str, line: int, message: str, mend: str, **how: object) -> None:
    """The sweep is refused at that line, with that message and mend (or those parts of them)."""
    with pytest.raises(UserError) as caught:
        plan(folder, sweep, **how)  # type: ignore[arg-type]
    error = caught.value
    assert error.where == f"{folder / 's.yaml'}:{line}", error
    assert message in error.message
    assert mend in (error.mend or "")


def bend(old: str, new: str, text: str = SWEEP) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def with_space(*lines: str) -> str:
    """SWEEP with these lines in place of lines 4 and 5."""
    old = SWEEP[SWEEP.index("  train.weight_decay") : SWEEP.index("chains:")]
    return bend(old, "".join(f"  {line}\n" for line in lines))


def with_chains(*lines: str) -> str:
    """SWEEP with these lines in place of line 7, `subsets_of`."""
    return bend("  subsets_of: [T, S, B, L]\n", "".join(f"  {line}\n" for line in lines))


case = pytest.param
