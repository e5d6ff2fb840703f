"""Can chains be designed from what was measured? Prediction against outcome on the emoji shards' results.

    python -m benchmarks.design [--write]

Fits learning curves to the models alone and to two chains of two, as `compt design` does, and predicts all chains that
it has not seen. `--write` brings the section of docs/results.md up to date. Trains nothing: the results are those of
`benchmarks.acceleration`.
"""

from __future__ import annotations

import argparse

from benchmarks.acceleration.document import PAGE
from benchmarks.acceleration.results import RESULTS, Results
from benchmarks.design.document import section, with_design
from benchmarks.design.foresight import foresee


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"bring {PAGE} up to date")
    parser.add_argument("--family", default="cpu", help="whose results")
    options = parser.parse_args()
    results = Results(RESULTS / f"{options.family}.jsonl")
    if options.write:
        PAGE.write_text(with_design(PAGE.read_text(), results))
        print(PAGE)
    else:
        print(section(foresee(results)), end="")


if __name__ == "__main__":
    main()
