"""Reading how far a run or a sweep is from its folder, wherever it lies; nothing is written, and no lock is taken."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass

from ray_compt.chain.folder import RunFolder, run_place
from ray_compt.chain.ledger import Ledger
from ray_compt.chain.lock import Driver, read_driver
from ray_compt.errors import UserError
from ray_compt.jobs.status import Planned, RunStatus, planned_work, run_status
from ray_compt.plan.cost import plan_chain
from ray_compt.report.html.read import read_events
from ray_compt.storage import Place
from ray_compt.sweep.record import FILE as SWEEP_FILE
from ray_compt.sweep.record import SweepRecord, read_record


@dataclass(frozen=True)
class SweepStatus:
    """A sweep.

    Attributes:
        run: its folder.
        record: what its trials are.
        running: the status of each trial that runs, by number.
        driver: who runs it; None where nobody does.
    """

    run: str
    record: SweepRecord
    running: dict[int, RunStatus]
    driver: Driver | None


def read_status(run_dir: str) -> RunStatus | SweepStatus:
    """How far the run or the sweep in a folder is.

    Args:
        run_dir: a path or URL.

    Raises:
        UserError: there is none, or its files cannot be read.
    """
    place = run_place(run_dir)
    if (place / SWEEP_FILE).is_file():
        return _sweep(place)
    if not RunFolder(place).ledger_file.is_file() and not place.is_folder():
        raise UserError("no such folder", where=run_dir, mend="give a run's folder or URL, or a job's id")
    return _run(place)


def _run(place: Place) -> RunStatus:
    folder = RunFolder(place)
    ledger = Ledger.open(folder.ledger_file)
    entries = ledger.stages + ledger.individual
    current = next((entry for entry in entries if entry.state == "running"), None)
    stage = folder.stage(current) if current else None
    return run_status(
        str(place),
        ledger.chain,
        entries,
        _planned(folder, ledger),
        [event.values for event in read_events(stage)] if stage else (),
        read_driver(place),
        _heard(place, stage),
    )


def _planned(folder: RunFolder, ledger: Ledger) -> list[Planned] | None:
    """The plan of each entry; None before the samples have been counted, or where the chain file is damaged."""
    if not ledger.training_samples:
        return None
    with suppress(UserError):
        return planned_work(plan_chain(folder.read_chain(), ledger.training_samples), bool(ledger.individual))
    return None


def _heard(run: Place, stage: Place | None) -> float | None:
    """Seconds since a file of the run, or of the stage that runs, was written; None where nothing tells."""
    times = [0]
    for place in (run, stage):
        # A file that is being replaced may be gone between its listing and its time.
        with suppress(FileNotFoundError):
            times += [written for _, written in place.versions().values()] if place is not None else []
    newest = max(times)
    return max(0.0, time.time() - newest / 1e9) if newest else None


def _sweep(place: Place) -> SweepStatus:
    record = read_record(place / SWEEP_FILE)
    driver = read_driver(place)
    running = {}
    for trial in record.trials:
        # Until it has a ledger, there is nothing to tell of a trial.
        if trial.state == "running" and RunFolder(place / trial.run).ledger_file.is_file():
            running[trial.number] = _run(place / trial.run)
    return SweepStatus(str(place), record, running, driver)
