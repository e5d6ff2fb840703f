"""`compt tune report`: one HTML file about a sweep, to look at, and its table for analysis."""

from __future__ import annotations

from typing import Annotated

import typer

from ray_compt.cli.options import JsonOutput, Verbose
from ray_compt.cli.tune_best import SweepFolder


def report(
    sweep: SweepFolder,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="File to write; by default sweep.html in SWEEP.", show_default=False
        ),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Write one self-contained HTML file about a sweep: trials, Pareto front, importance, shared stages."""
    from ray_compt.cli.output import print_json
    from ray_compt.storage import open_place
    from ray_compt.sweep.choice import choose
    from ray_compt.sweep.html.page import FILE as PAGE
    from ray_compt.sweep.record import FILE, read_record
    from ray_compt.sweep.report import write_page
    from ray_compt.sweep.scores import score

    folder = open_place(sweep)
    record = read_record(folder / FILE)
    target = open_place(out) if out else folder / PAGE
    write_page(record, target)
    choice = choose(score(record.trials, record.objective), record.objective)
    if as_json:
        winner = choice.winner
        print_json(
            {
                "report": str(target),
                "winner": None if winner is None else winner.candidate,
                "front": [one.candidate for one in choice.front],
                "verdict": choice.words,
                "macs_paid": record.macs_paid,
                "macs_saved": record.macs_saved,
            }
        )
    else:
        print(f"{choice.words}\nreport: {target}")
