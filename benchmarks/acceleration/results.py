"""The raw results: one line of JSON a training, kept in the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.acceleration.cell import Cell

Result = dict[str, Any]
RESULTS = Path(__file__).parent / "results"


class Results:
    """What `trainings.jsonl` of a family says, by the name of the cell."""

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self._found: dict[str, Result] = {line["name"]: line for line in map(json.loads, lines)}

    def __contains__(self, cell: Cell) -> bool:
        return cell.name in self._found

    def __getitem__(self, cell: Cell) -> Result:
        return self._found[cell.name]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._found.values())

    def add(self, cell: Cell, measured: Result) -> None:
        line = {"name": cell.name, "path": cell.path, "cell": cell.to_json(), **measured}
        self._found[cell.name] = line
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def score(metrics: dict[str, float]) -> float:
    """Mean of image-to-text and text-to-image R@1, the experiment's measure of accuracy."""
    return (metrics["image_to_text_r1"] + metrics["text_to_image_r1"]) / 2
