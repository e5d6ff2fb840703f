"""Every chain of four small models, as a sweep trained it on the emoji shards: for docs/results.md.

    compt tune emoji_orderings --set ... --run-dir FOLDER
    python -m benchmarks.orderings [--sweep FOLDER] [--write]

`--sweep` copies the sweep's record to `benchmarks/orderings/results/emoji.json`, `--write` brings docs/results.md up to
date with it. Trains nothing.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from benchmarks.acceleration.document import FIGURES, PAGE, with_sections
from benchmarks.orderings.table import section
from ray_compt.storage import open_place
from ray_compt.sweep.record import FILE, read_record, write_record

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sweep", metavar="FOLDER", help="take its record")
    parser.add_argument("--write", action="store_true", help=f"bring {PAGE} up to date")
    options = parser.parse_args()
    kept = open_place(str(RESULTS / "emoji.json"))
    if options.sweep:
        # Its command names folders of one machine; docs/results.md has it with SHARDS.
        write_record(kept, replace(read_record(open_place(options.sweep) / FILE), command=None))
    record = read_record(kept)
    if not options.write:
        print(section(record), end="")
        return
    from benchmarks.orderings.figure import draw

    PAGE.write_text(
        with_sections(PAGE.read_text(), lambda name: section(record) if name == "orderings" else None)
    )
    print(PAGE, draw(record, FIGURES / "orderings.svg"), sep="\n")


if __name__ == "__main__":
    main()
