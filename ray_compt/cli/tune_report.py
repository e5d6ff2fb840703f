"""`compt tune report`: the page about a sweep, also while it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from ray_compt.cli.options import Verbose
from ray_compt.cli.tune_best import SweepFolder


def report(
    sweep: SweepFolder,
    out: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="HTML file; by default sweep.html there.", show_default=False),
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Write one HTML file about a sweep: trials, importance, the front of accuracy against cost, shared stages."""
    from ray_compt.storage import open_place
    from ray_compt.sweep.html.page import FILE as PAGE
    from ray_compt.sweep.record import FILE, read_record
    from ray_compt.sweep.report import write_page

    folder = open_place(sweep)
    record = read_record(folder / FILE)
    place = open_place(out) if out else folder / PAGE
    write_page(record, place)
    print(f"report: {place}")
