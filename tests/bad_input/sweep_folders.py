"""Folders of sweeps and stage stores, given to `compt tune`, `compt tune best|report` and `compt train --store`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray_compt.storage import open_place
from ray_compt.sweep.objective import Objective
from ray_compt.sweep.record import TrialRecord, write_record
from tests.bad_input.place import Place
from tests.bad_input.row import Chapter, Row
from tests.bad_input.sweeps import SWEEP, tune
from tests.sweep.records import METRIC, sweep, trial

FOLDER, RECORD = "sweep", "sweep/sweep.json"


def _record(at: Place, *trials: TrialRecord, **given: Any) -> Path:
    """Write the folder of a sweep with these trials; of the sweep file SWEEP, unless given."""
    objective = given.pop("objective", Objective(METRIC))
    record = sweep(*trials, text=given.pop("text", SWEEP), objective=objective, **given)
    write_record(open_place(at.folder / RECORD), record)
    return at.folder / FOLDER


def _resume(name: str, title: str, text: str, *says: str, **more: Any) -> Row:
    """`compt tune` in a folder whose sweep.json says this."""

    def make(at: Place) -> list[str | Path]:
        at.write(RECORD, text)
        return tune(at, SWEEP, "--run-dir", at.folder / FOLDER)

    return Row(f"tune-{name}", title, make, RECORD, ("the sweep's record cannot be read", *says), **more)


def _another(at: Place) -> list[str | Path]:
    folder = _record(at, trial(0), text=SWEEP.replace("0.002", "0.003"))
    return tune(at, SWEEP, "--run-dir", folder)


def _other_base(at: Place) -> list[str | Path]:
    folder = _record(at, trial(0, chain=("tiny", "large"), values={"train.lr": 0.001}))
    return tune(at, SWEEP, "--run-dir", folder)


def _best(name: str, title: str, place: str, *says: str, options: tuple[str, ...] = ()) -> Row:
    """`compt tune best` of a sweep of which one trial was pruned, one runs, and the third has lost its folder."""

    def make(at: Place) -> list[str | Path]:
        trials = (trial(0, state="pruned"), trial(1, state="running"), trial(2, chain=("large",)))
        return ["tune", "best", _record(at, *trials), "--out", at.folder / "best.yaml", *options]

    return Row(f"best-{name}", title, make, place, says)


def _unreached(at: Place) -> list[str | Path]:
    folder = _record(at, trial(0), objective=Objective(METRIC, at_least=0.9, minimise="macs"))
    return ["tune", "best", folder, "--out", at.folder / "best.yaml"]


FOLDERS = Chapter(
    "Sweeps",
    "What a sweep has trained stays as it is; `compt tune` says what hinders it from going on.",
    (
        Row(
            "tune-file",
            "A sweep below a file",
            lambda at: tune(at, SWEEP, "--run-dir", at.write("file", "x") / "sweep"),
            "file/sweep",
            ("cannot be written",),
        ),
        Row(
            "tune-run",
            "A sweep in the run folder of a chain",
            lambda at: tune(at, SWEEP, "--run-dir", at.run),
            "run",
            ("run folder of a chain",),
        ),
        Row(
            "tune-another",
            "Another sweep in the folder",
            _another,
            FOLDER,
            ("was another one: different are now space.train.lr.choice",),
        ),
        Row(
            "tune-base",
            "Another base chain than that of the sweep's trials",
            _other_base,
            "chain.yaml",
            ("trained a chain tiny → large",),
        ),
        _resume("cut", "A record that was cut off", '{"schema": 1, "na'),
        _resume("empty", "A record of no bytes", ""),
        _resume("list", "A record that is a list", "[]", "no object"),
        _resume("schema", "A record of another version", '{"schema": 99}', "schema 99 is not 1"),
        _resume("deep", "A record nested 100,000 deep", "[" * 100_000),
        Row(
            "tune-samples",
            "The costs of a sweep without its shards",
            lambda at: tune(at, SWEEP, data={"train": str(at.folder / "*.tar")}),
            "data.train",
            ("number of training samples is not known", "--set data.samples=N"),
        ),
        Row(
            "tune-address",
            "No cluster at the address of a sweep",
            lambda at: tune(at, SWEEP, "--run-dir", at.folder / FOLDER, "--address", "127.0.0.1:9"),
            "address 127.0.0.1:9",
            ("no Ray cluster answers",),
        ),
        Row(
            "best-nothing",
            "The best of a folder that is no sweep",
            lambda at: ["tune", "best", at.run, "--out", at.folder / "best.yaml"],
            "run/sweep.json",
            ("no sweep here",),
        ),
        Row(
            "best-damaged",
            "The best of a sweep whose record is damaged",
            lambda at: ["tune", "best", at.write(RECORD, "{").parent, "--out", at.folder / "best.yaml"],
            RECORD,
            ("cannot be read",),
        ),
        Row(
            "best-none",
            "The best of a sweep without a finished trial",
            lambda at: [
                "tune",
                "best",
                _record(at, trial(0, state="failed")),
                "--out",
                at.folder / "best.yaml",
            ],
            "digits_quick",
            ("no winner",),
        ),
        Row(
            "best-unreached",
            "The best of a sweep that misses its target",
            _unreached,
            "digits_quick",
            ("no winner",),
        ),
        _best("number", "A trial that there is not", "digits_quick", "from 0 to 2", options=("--trial", "9")),
        _best(
            "running",
            "A trial that still runs",
            "digits_quick",
            "trial 1 is running",
            options=("--trial", "1"),
        ),
        _best("gone", "A winner whose run folder is gone", "sweep/trials/2", "is not here"),
        Row(
            "best-there",
            "A chain file that is there already",
            lambda at: ["tune", "best", _record(at, trial(0)), "--out", at.chain()],
            "chain.yaml",
            ("is there already",),
        ),
        Row(
            "best-out",
            "No chain file to write",
            lambda at: ["tune", "best", _record(at, trial(0))],
            "compt tune best",
            ("--out",),
        ),
        Row(
            "tune-report-nothing",
            "A report on a folder that is no sweep",
            lambda at: ["tune", "report", at.run],
            "run/sweep.json",
            ("no sweep here",),
        ),
        Row(
            "tune-report-out",
            "A report on a sweep to a place below a file",
            lambda at: ["tune", "report", _record(at, trial(0)), "--out", at.write("file", "x") / "a.html"],
            "file/a.html",
            ("cannot be written",),
        ),
        Row(
            "store-file",
            "A stage store below a file",
            lambda at: at.train("--store", at.write("file", "x") / "store"),
            "file/store",
            ("the stage store cannot be written", "--store"),
        ),
    ),
)
