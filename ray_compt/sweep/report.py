"""The files about a sweep in its folder: the page and the table for analysis."""

from __future__ import annotations

from ray_compt import __version__
from ray_compt.report.html.document import save_document
from ray_compt.storage import Place
from ray_compt.sweep import columns, record
from ray_compt.sweep.html.page import render
from ray_compt.sweep.record import SweepRecord


def write_page(sweep: SweepRecord, out: Place) -> None:
    """Write the page, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    save_document(render(sweep, version=__version__), out)


def save(sweep: SweepRecord, folder: Place) -> None:
    """Store the record and, beside it, the same as a table.

    Raises:
        TrainingError: the disk is full.
    """
    record.write_record(folder / record.FILE, sweep)
    columns.write_parquet(folder / columns.FILE, sweep)
