"""Looking at a fabricated run, and damaging it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ray_compt.chain.verify import RunReport, StageReport, verify_run
from tests import harm
from tests.chain.fabricate import SMALL, SMALL_STEPS

# The last checkpoint of the finished stage.
FINAL = f"{SMALL}/checkpoints/checkpoint_{SMALL_STEPS:06d}"


def check(run: Path) -> RunReport:
    return verify_run(run, settle_s=0)


def stage(report: RunReport, folder: str) -> StageReport:
    return next(stage for stage in report.stages if stage.folder == folder)


def lines(run: Path, folder: str = SMALL) -> list[str]:
    return (run / folder / "metrics.jsonl").read_text().splitlines()


def write(run: Path, changed: list[str], folder: str = SMALL, end: str = "\n") -> None:
    (run / folder / "metrics.jsonl").write_text("\n".join(changed) + end)


def files(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def flip(path: str) -> Callable[[Path], None]:
    return lambda run: harm.flip(run / path)


def cut(path: str) -> Callable[[Path], None]:
    return lambda run: harm.cut(run / path)


def remove(path: str) -> Callable[[Path], None]:
    return lambda run: (run / path).unlink()
