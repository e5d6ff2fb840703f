"""`compt tune best`: the winner of a sweep as a chain file, ready for `compt train`."""

from __future__ import annotations

from typing import Annotated

import typer

from ray_compt.cli.options import JsonOutput, Verbose
from ray_compt.errors import UserError

SweepFolder = Annotated[
    str, typer.Argument(metavar="SWEEP", help="Folder of the sweep or its URL, finished or still running.")
]


def best(
    sweep: SweepFolder,
    out: Annotated[str, typer.Option(metavar="FILE", help="Chain file to write.", show_default=False)],
    trial: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Trial to write; by default the winner's with the first seed, of a Pareto front its best metric.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Write the best chain of a sweep as a chain file that says where it comes from."""
    from ray_compt.cli.output import print_json
    from ray_compt.storage import open_place
    from ray_compt.sweep.best import chain_text, read_trial_chain, winning_trial
    from ray_compt.sweep.record import FILE, read_record

    folder, target = open_place(sweep), open_place(out)
    record = read_record(folder / FILE)
    if target.is_file() or target.is_folder():
        raise UserError("is there already", where=out, mend="give --out another file, or move that one away")
    found = winning_trial(record, trial)
    text = chain_text(record, found, read_trial_chain(folder, found))
    try:
        target.write_text(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot be written ({reason})", where=out, mend="give --out another file") from error
    if as_json:
        numbers = {"trial": found.number, "candidate": found.candidate, "seed": found.seed}
        print_json({"out": out, **numbers, "metrics": found.metrics, "macs": found.macs})
    else:
        print(f"trial {found.number} of {record.name} ({' → '.join(found.chain)}, seed {found.seed}): {out}")
