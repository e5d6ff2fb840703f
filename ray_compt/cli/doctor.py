"""`compt doctor`: can this cluster, or this machine, train this chain? Everything is looked at before it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.options import JsonOutput, Overrides, TrainingCluster, Verbose
from ray_compt.errors import UserError

if TYPE_CHECKING:
    from ray_compt.doctor.asked import Asked
    from ray_compt.doctor.examine import Examination
    from ray_compt.doctor.finding import Finding

NOT_WELL = 1
COLUMNS = ("state", "check", "found")
STYLES = {"ok": "green", "warn": "yellow", "wrong": "bold red"}


def doctor(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="Chain file, or the bare name of a shipped one; without it only the nodes are looked at.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Run folder that training would use, a path or a URL; by default runs/NAME.",
            show_default=False,
        ),
    ] = None,
    address: TrainingCluster = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Check the nodes before training: resources, paths, versions, limits. Exits with 1 where something is wrong."""
    from ray_compt.cli.output import print_json

    if file is None and overrides:
        raise UserError(
            "there is no chain file whose keys could be changed", where="--set", mend="name the file too"
        )
    name, asked = _asked(file, overrides, run_dir)
    examination = _examine(asked, address, verbose)
    if as_json:
        print_json({"chain": name, **examination.to_json()})
    else:
        _print(name, examination)
    if not examination.well:
        raise typer.Exit(NOT_WELL)


def _asked(file: str | None, overrides: list[str] | None, run_dir: str | None) -> tuple[str | None, Asked]:
    """The chain's name, and what it asks of the nodes."""
    if file is None:
        return None, _asked_alone(run_dir)
    from ray_compt.chain.asked import chain_asked
    from ray_compt.chain.folder import run_place
    from ray_compt.chain.prepare import prepare
    from ray_compt.cli.chain_file import open_chain

    chain = open_chain(file, overrides)
    return chain.name, chain_asked(chain, run_place(run_dir or f"runs/{chain.name}"), prepare(chain))


def _asked_alone(run_dir: str | None) -> Asked:
    from ray_compt.doctor.asked import Asked, Writing

    if run_dir is None:
        return Asked()
    from ray_compt.chain.folder import run_place

    return Asked(writes=(Writing("run folder", str(run_place(run_dir))),))


def _examine(asked: Asked, address: str | None, verbose: bool) -> Examination:
    from ray_compt.doctor.examine import examine_cluster, examine_machine

    if address is None:
        return examine_machine(asked)
    from ray_compt.train.cluster import connected

    with connected(address, verbose=verbose):
        return examine_cluster(asked)


def _print(chain: str | None, examination: Examination) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if console.is_terminal:
        console.print(_table(examination.findings))
    else:
        for line in _lines(examination.findings):
            print(line)
    print(verdict(chain, examination))


def _table(findings: tuple[Finding, ...]) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in COLUMNS:
        table.add_column(column)
    for finding in findings:
        table.add_row(
            Text(finding.state, style=STYLES[finding.state]), Text(finding.name), Text(_cell(finding))
        )
    return table


def _lines(findings: tuple[Finding, ...]) -> list[str]:
    """The same for a file: each mend below what it mends."""
    rows = [COLUMNS, *((finding.state, finding.name, finding.text) for finding in findings)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    mends = [None, *(finding.mend for finding in findings)]
    lines = []
    for (state, name, found), mend in zip(rows, mends):
        lines.append(f"{state:{widths[0]}}  {name:{widths[1]}}  {found}")
        if mend:
            lines.append(f"{'':{widths[0]}}  {'':{widths[1]}}  mend: {mend}")
    return lines


def _cell(finding: Finding) -> str:
    return f"{finding.text}\nmend: {finding.mend}" if finding.mend else finding.text


def verdict(chain: str | None, examination: Examination) -> str:
    """One line on the whole."""
    what = f"chain {chain}" if chain else "training"
    states = [finding.state for finding in examination.findings]
    wrong, warnings = states.count("wrong"), states.count("warn")
    said = f", {warnings} to think about" if warnings else ""
    if wrong:
        return f"not well: {wrong} wrong{said}; {what} would not run here as it should"
    return f"well{said}: {what} can run here"
