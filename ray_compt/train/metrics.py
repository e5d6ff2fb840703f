"""What a stage leaves behind step by step: metrics.jsonl and TensorBoard's event files."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

from ray_compt.storage import Place, WorkingCopy, lines_from_end, part_names, parts
from ray_compt.storage.parts import part_name, part_number

NAME = "metrics.jsonl"


class MetricsWriter:
    """Appends one line a step to `metrics.jsonl` and mirrors the numbers in TensorBoard.

    In an object store both are put whole at each `flush`; from `parts.PART_BYTES` on they go on in further files, so
    that no flush takes longer because the stage is long.

    Args:
        folder: the stage's folder.
        step: steps already taken; lines of later steps, left by a run that was cut off after its last
            checkpoint, are dropped, so every step stands in the file once.
    """

    def __init__(self, folder: Place, step: int):
        names = part_names(folder, NAME)
        self._copy = _without_later_steps(folder, names, step)
        self._part = part_number(names[-1])
        self._open(purge_step=step + 1)

    def _open(self, purge_step: int | None = None) -> None:
        # Imported here: TensorBoard takes a second to import, and only one worker needs it.
        from torch.utils.tensorboard import SummaryWriter

        # By line, so that whoever follows the file sees every step.
        self._file = (self._copy.path / part_name(NAME, self._part)).open("a", buffering=1)
        self._board = SummaryWriter(str(self._copy.path / "tensorboard"), purge_step=purge_step)

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Record the values of optimizer step `step` (from 1); numbers that are not finite become null."""
        self._file.write(json.dumps({"step": step} | {k: _plain(v) for k, v in values.items()}) + "\n")
        for name, value in values.items():
            if isinstance(value, (int, float)):
                self._board.add_scalar(f"train/{name}", value, step)

    def flush(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._board.flush()
        self._copy.push()
        if self._copy.puts_whole and self._file.tell() >= parts.PART_BYTES:
            self._end_part()
            self._part += 1
            self._open()

    def close(self) -> None:
        self.flush()
        self._end_part()

    def _end_part(self) -> None:
        self._file.close()
        self._board.close()


def _without_later_steps(folder: Place, names: list[str], step: int) -> WorkingCopy:
    """A copy with the last part that has steps up to `step`; `names` loses the others, and so does the folder."""
    while True:
        copy = folder.working_copy(names[-1])
        path = copy.path / names[-1]
        truncate_metrics(path, step)
        if len(names) == 1 or path.stat().st_size:
            return copy
        (folder / names.pop()).remove()


def truncate_metrics(path: Path, step: int) -> None:
    """Cut off the lines of steps after `step`, and half a line; only the end of the file is read."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        end = 0
        for start, line in lines_from_end(file):
            if line.endswith(b"\n") and _step_of(line) <= step:
                end = start + len(line)
                break
        file.truncate(end)


def record_evaluation(folder: Place, step: int, metrics: dict[str, float]) -> None:
    """Append a stage's evaluation to its metrics.jsonl and TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    name = part_names(folder, NAME)[-1]
    copy = folder.working_copy(name)
    with (copy.path / name).open("a") as file:
        file.write(json.dumps({"step": step, "evaluation": metrics}) + "\n")
    with SummaryWriter(str(copy.path / "tensorboard")) as board:
        for name, value in metrics.items():
            board.add_scalar(f"evaluation/{name}", value, step)
    copy.push()


def _plain(value: Any) -> Any:
    """JSON knows no nan and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _step_of(line: bytes) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        # A line that a crash cut in half belongs to no step.
        return float("inf")
