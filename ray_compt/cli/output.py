"""How results are printed: JSON for programs, a table for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any


def print_json(result: Any) -> None:
    """Print one JSON document on standard output; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_finite(result), indent=2, ensure_ascii=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text on standard output, as `report.table` draws them."""
    from rich.console import Console

    from ray_compt.report import table

    table.print_table(Console(), title, columns, rows)


def warn(message: str) -> None:
    """Print one line about something that does not stop the command."""
    print(f"warning: {message}", file=sys.stderr)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
