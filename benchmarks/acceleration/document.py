"""Bring the tables and figures of docs/results.md up to date with the raw results.

    python -m benchmarks.acceleration.document

A table stands between `<!-- NAME -->` and `<!-- end -->`; the prose around it is written by hand. The sections
`design` and `orderings` are those of `benchmarks.design` and `benchmarks.orderings`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.acceleration.results import RESULTS, Results
from benchmarks.acceleration.tables import alone_table, chain_table, part_table

PAGE = Path("docs/results.md")
FIGURES = Path("docs/images/results")
# Sections that other benchmarks write.
OTHERS = {"design", "orderings"}
TABLES: dict[str, Callable[[Results], str]] = {
    "alone": alone_table,
    "chains": chain_table,
    "controls": partial(part_table, part="controls"),
    "options": partial(part_table, part="options"),
}


def with_tables(text: str, results: Results) -> str:
    """The page with its tables made anew.

    Raises:
        KeyError: the page has a table of another name.
    """
    return with_sections(text, lambda name: None if name in OTHERS else TABLES[name](results))


def with_sections(text: str, make: Callable[[str], str | None]) -> str:
    """The page with its sections made anew, by their names; those of which `make` gives None stay as they are."""

    def renewed(found: re.Match[str]) -> str:
        content = make(found[1])
        return found[0] if content is None else f"<!-- {found[1]} -->\n{content}<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", renewed, text, flags=re.DOTALL)


def main() -> None:
    from benchmarks.acceleration.plots import draw

    results = Results(RESULTS / "cpu.jsonl")
    PAGE.write_text(with_tables(PAGE.read_text(), results))
    for path in draw(results, FIGURES):
        print(path)


if __name__ == "__main__":
    main()
