"""`compt status`: how far a run, a sweep or a job is, from anywhere that sees its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.options import JobCluster, JsonOutput, Verbose

if TYPE_CHECKING:
    from ray_compt.jobs.read import SweepStatus
    from ray_compt.jobs.status import RunStatus

LAST_LINES = 5


def status(
    name: Annotated[
        str,
        typer.Argument(metavar="RUN|JOB", help="A run's or sweep's folder or URL, or a Ray job's id."),
    ],
    address: JobCluster = None,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Show how far a run, a sweep or a job is: stage, step, workers, time left."""
    from ray_compt.chain.folder import run_place
    from ray_compt.cli.output import print_json
    from ray_compt.jobs.read import read_status
    from ray_compt.storage import is_url

    if is_url(name) or "/" in name or run_place(name).is_folder():
        found = read_status(name)
        if as_json:
            print_json(_plain(found))
        else:
            _print(found)
    else:
        _job(name, address, as_json)


def _job(name: str, address: str | None, as_json: bool) -> None:
    from ray_compt.cli.output import print_json
    from ray_compt.errors import UserError
    from ray_compt.jobs.client import connect
    from ray_compt.jobs.submission import run_of_job

    try:
        server = connect(address)
    except UserError as error:
        if address is not None:
            raise
        raise UserError(
            "no such folder here, and no Ray cluster on this machine that could have such a job",
            where=name,
            mend="give a run's folder or URL, or the --address of the job's cluster",
        ) from error
    info = server.info(name)
    log = server.log(name)
    run = run_of_job(info.metadata or {}, log)
    found = None if run is None else _read(run)
    lines = [line for line in log.splitlines() if line.strip()][-LAST_LINES:]
    if as_json:
        job = {
            "job": name,
            "status": str(info.status),
            "exit_code": info.driver_exit_code,
            "message": info.message,
            "node": info.driver_node_id,
            "run": run,
        }
        print_json({**job, "lines": lines, "status_of_run": None if found is None else _plain(found)})
        return
    code = "" if info.driver_exit_code is None else f", exit code {info.driver_exit_code}"
    print(f"job {name}: {info.status}{code}: {info.entrypoint}")
    if found is not None:
        _print(found)
        return
    where = "not named yet" if run is None else f"{run}, which cannot be read from here"
    print(f"run folder: {where}; the job's last lines:")
    for line in lines or ["none"]:
        print(f"  {line}")


def _read(run: str) -> RunStatus | SweepStatus | None:
    """The status of a job's run; None where its folder cannot be seen from here."""
    from ray_compt.errors import UserError
    from ray_compt.jobs.read import read_status

    try:
        return read_status(run)
    except UserError:
        return None


def _plain(found: RunStatus | SweepStatus) -> dict[str, Any]:
    from dataclasses import asdict

    from ray_compt.jobs.status import RunStatus

    if isinstance(found, RunStatus):
        return found.to_json()
    trials = {str(number): trial.to_json() for number, trial in found.running.items()}
    driver = None if found.driver is None else asdict(found.driver)
    return {"run": found.run, "sweep": found.record.to_json(), "running": trials, "driver": driver}


def _print(found: RunStatus | SweepStatus) -> None:
    from ray_compt.cli.output import print_table
    from ray_compt.jobs import words
    from ray_compt.jobs.status import RunStatus

    if not isinstance(found, RunStatus):
        print("\n".join(words.sweep_lines(found)))
        return
    print_table(words.headline(found), words.COLUMNS, words.rows(found))
    for line in words.notes(found):
        print(line)
