"""`compt verify`: was every sample used exactly as planned, and is every file what was written?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ray_compt.cli.options import JsonOutput, Verbose

if TYPE_CHECKING:
    from ray_compt.chain.verify import RunReport, StageReport

COLUMNS = (
    "stage",
    "state",
    "steps",
    "epochs",
    "used",
    "unreadable",
    "dropped",
    "checkpoints",
    "model",
)
NOT_WELL = 1
SHOWN = 20


def verify(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run folder or its URL, finished, broken or running.")
    ],
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Check that a run used every sample exactly once an epoch, and that its files are undamaged."""
    from ray_compt.chain.verify import verify_run
    from ray_compt.cli.output import print_json

    report = verify_run(run)
    if as_json:
        print_json(report.to_json())
    else:
        _print(report)
    if not report.well:
        raise typer.Exit(NOT_WELL)


def _print(report: RunReport) -> None:
    from ray_compt.cli.output import print_table

    print_table(f"chain {report.chain} in {report.run}", COLUMNS, [_row(stage) for stage in report.stages])
    for stage in report.stages:
        lines = _findings(stage)
        hidden = [f"  and {len(lines) - SHOWN} more; --json lists all"] if len(lines) > SHOWN else []
        for line in lines[:SHOWN] + hidden:
            print(line)
    print(_verdict(report))


def _row(stage: StageReport) -> tuple[str, ...]:
    samples = stage.samples
    numbers: tuple[str, ...] = ("-",) * 5
    if samples is not None:
        steps = f"{samples.right_steps}/{samples.planned_steps}"
        counts = samples.right_epochs, samples.used, samples.unreadable, samples.dropped
        numbers = (steps, *map(str, counts))
    intact = sum(checkpoint.complete and not checkpoint.faults for checkpoint in stage.checkpoints)
    checkpoints = f"{intact}/{len(stage.checkpoints)} intact" if stage.checkpoints else "-"
    model = "-"
    if stage.export is not None:
        model = "damaged" if stage.export.faults else "intact" if stage.export.checked else "unchecked"
    return (stage.folder, stage.state, *numbers, checkpoints, model)


def _findings(stage: StageReport) -> list[str]:
    return [
        *(f"wrong: {stage.folder}: {problem.what}" for problem in stage.problems),
        *(f"not checked: {stage.folder}: {what}" for what in stage.unchecked),
        *_skipped(stage),
        *(
            f"note: {stage.folder}: {checkpoint.name} is incomplete; resuming passes it over"
            for checkpoint in stage.checkpoints
            if not checkpoint.complete
        ),
    ]


def _skipped(stage: StageReport) -> list[str]:
    if stage.samples is None or not stage.samples.skipped:
        return []
    taught = f"{stage.samples.skipped} samples taught nothing, because their step's loss or gradient was not finite"
    return [f"note: {stage.folder}: {taught}"]


def _verdict(report: RunReport) -> str:
    wrong = sum(len(stage.problems) for stage in report.stages)
    unchecked = sum(len(stage.unchecked) for stage in report.stages)
    if wrong or unchecked:
        counts = ((wrong, "wrong"), (unchecked, "not checked"))
        return "not well: " + ", ".join(f"{count} {what}" for count, what in counts if count)
    unfinished = sum(stage.state != "done" for stage in report.stages)
    so_far = f" so far ({unfinished} of {len(report.stages)} stages not done)" if unfinished else ""
    return f"well{so_far}: every sample was used exactly as planned, and every file is intact"
