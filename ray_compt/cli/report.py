"""`compt report`: one HTML file about one or several runs, to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from ray_compt.cli.options import JsonOutput, Verbose


def report(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Run folders or their URLs, finished or still training; several are compared.",
            show_default=False,
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File to write; by default report.html in the run folder, for several runs in this folder.",
            show_default=False,
        ),
    ] = None,
    examples: Annotated[
        bool,
        typer.Option(
            "--examples/--no-examples", help="Show what the last finished model retrieves, with pictures."
        ),
    ] = True,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Write one self-contained HTML file about runs: accuracy, cost, losses, workers, examples."""
    from ray_compt.chain.report import FILE, write_report
    from ray_compt.cli.output import print_json
    from ray_compt.storage import open_place

    place = open_place(out) if out else open_place(runs[0]) / FILE if len(runs) == 1 else open_place(FILE)
    written = write_report(runs, place, examples=examples)
    if as_json:
        print_json({"report": str(place), "runs": [{"name": run.name, "path": run.path} for run in written]})
    else:
        print(f"report: {place}")
