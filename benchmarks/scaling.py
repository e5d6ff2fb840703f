"""How planning, opening an index, the order of samples, resuming, verifying and reporting grow.

    python -m benchmarks.scaling [--quick] [--json OUT] [--only REGEX]

No pixels are needed: shards are files without content, and what an index knows of them is made up. Each row is one
step of the work at growing size: CPU seconds of this process, by how much its resident memory rose at most, and bytes
where bytes are the point. The exponent is the slope of the seconds over the size, both as logarithms, over the sizes
from a hundredth of the largest on that take 5 ms or more. Where it is above what is allowed, the exit code is 1.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.scaling_cases import CASES, Case

# Shorter times say more about the machine than about the code.
SHORTEST_S = 0.005
LARGE_END = 100
REPEATS, ENOUGH_S = 5, 1.0


@dataclass(frozen=True)
class Point:
    """A step at one size.

    Attributes:
        size: in the unit of the case's axis.
        seconds: CPU time, the best of a few tries where it is short.
        memory: bytes by which resident memory rose at most.
        bytes: of what the step made; None where that is not the point.
    """

    size: int
    seconds: float
    memory: int
    bytes: int | None = None


@dataclass(frozen=True)
class Row:
    """A step at all its sizes.

    Attributes:
        step, axis: as the case has them.
        most: exponent that is allowed.
        exponent: found; None where all is too short to tell.
    """

    step: str
    axis: str
    most: float
    exponent: float | None
    points: tuple[Point, ...]

    @property
    def well(self) -> bool:
        return self.exponent is None or self.exponent <= self.most


def main() -> None:
    options = _options()
    rows = []
    for case in CASES:
        if re.search(options.only, f"{case.step}, by {case.axis}"):
            rows.append(_measure(case, quick=options.quick))
            print("\n".join(_lines(rows[-1])), flush=True)
    if options.json:
        found = {"well": all(row.well for row in rows), "rows": [asdict(row) for row in rows]}
        Path(options.json).write_text(json.dumps(found, indent=1) + "\n")
    wrong = [f"{row.step}: exponent {row.exponent:.2f} over {row.axis}" for row in rows if not row.well]
    if wrong:
        sys.exit("grows faster than it may: " + "; ".join(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a minute in all")
    parser.add_argument("--json", metavar="OUT", help="also write the table as JSON")
    parser.add_argument(
        "--only", default="", metavar="WORDS", help="steps whose name or axis holds the words"
    )
    return parser.parse_args()


def _measure(case: Case, *, quick: bool) -> Row:
    sizes = [size for size in case.sizes if not quick or size <= case.quick]
    points = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="scaling") as folder:
            points.append(_point(case, size, Path(folder)))
        gc.unfreeze()
    return Row(case.step, case.axis, case.most, exponent(points), tuple(points))


def _point(case: Case, size: int, folder: Path) -> Point:
    """The first try tells the memory; a short one is repeated for its time."""
    step = case.make(size, folder)
    _settle()
    before = _status("VmRSS")
    seconds = []
    while not seconds or (len(seconds) < REPEATS and sum(seconds) < ENOUGH_S):
        began = time.process_time()
        made = step()
        seconds.append(time.process_time() - began)
        if len(seconds) == 1:
            memory = _status("VmHWM") - before
    return Point(size, min(seconds), max(0, memory), made if isinstance(made, int) else None)


def _settle() -> None:
    """Give free memory back, and begin anew with the highest resident size."""
    gc.collect()
    # Else Python would look through all that torch and Ray have made whenever the step has made much.
    gc.freeze()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    """A size in bytes from /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def exponent(points: Sequence[Point]) -> float | None:
    """The slope of log(seconds) over log(size) at the large end; None where too little there takes its time."""
    large = [
        (math.log(point.size), math.log(point.seconds))
        for point in points
        if point.size * LARGE_END >= points[-1].size and point.seconds >= SHORTEST_S
    ]
    if len(large) < 2:
        return None
    mean_x, mean_y = (sum(values) / len(large) for values in zip(*large))
    spread = sum((x - mean_x) ** 2 for x, _ in large)
    return sum((x - mean_x) * (y - mean_y) for x, y in large) / spread


def _lines(row: Row) -> list[str]:
    found = "short" if row.exponent is None else f"{row.exponent:.2f}"
    title = f"{row.step}, by {row.axis}: exponent {found} (at most {row.most:g}){'' if row.well else '  TOO MUCH'}"
    lines = [title]
    for point in row.points:
        made = "" if point.bytes is None else f"  {point.bytes / 1e6:10.2f} MB made"
        lines.append(f"  {point.size:>11,}  {point.seconds:9.3f} s  {point.memory / 1e6:8.1f} MB{made}")
    return lines


if __name__ == "__main__":
    main()
