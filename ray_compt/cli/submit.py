"""`compt submit`: send a chain or a sweep to a cluster as a Ray job, and follow its lines."""

from __future__ import annotations

import os
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ray_compt.cli.options import JobCluster, JsonOutput, Overrides, Verbose

if TYPE_CHECKING:
    from ray_compt.jobs.submission import Submission

DRIVER_STOPPED = 143


class Package(str, Enum):
    """How ray_compt comes to the cluster, as `jobs.submission` knows it."""

    COPY = "copy"
    PIP = "pip"
    NONE = "none"


def submit(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="Chain or sweep file, or the bare name of a shipped one."),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- ARGUMENT...]",
            help="After --: further arguments of compt train or compt tune, e.g. -- --individual.",
            show_default=False,
        ),
    ] = None,
    overrides: Overrides = None,
    run_dir: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Run folder as all nodes of the cluster see it, a path or a URL such as s3://bucket/run; by default "
            "runs/NAME in this folder.",
            show_default=False,
        ),
    ] = None,
    address: JobCluster = None,
    package: Annotated[
        Package,
        typer.Option(
            help="How ray_compt comes there. copy: this one goes along, the cluster has what it needs; pip: every node "
            "installs it with what it needs; none: the cluster's own is used."
        ),
    ] = Package.COPY,
    variables: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME[=VALUE]",
            help="Environment variable of the job; without a value, that of this shell. May be repeated.",
        ),
    ] = None,
    driver_cpus: Annotated[
        float,
        typer.Option(
            min=0,
            help="CPUs held for the driver; above 0, it may run on any node, else it runs on the head.",
        ),
    ] = 0,
    detach: Annotated[bool, typer.Option("--detach", help="Do not follow the job's lines.")] = False,
    as_json: JsonOutput = False,
    verbose: Verbose = False,
) -> None:
    """Train on a cluster as a Ray job; Ctrl-C leaves it, and the job goes on."""
    from ray_compt.jobs.client import connect
    from ray_compt.jobs.submission import Choices, read_variables, submission
    from ray_compt.jobs.wheel import own_files
    from ray_compt.jobs.work import open_work

    work = open_work(file, overrides or ())
    _check(work.command, file, overrides or ())
    choices = Choices(
        _everywhere(run_dir or f"runs/{work.name}"),
        package.value,
        arguments or (),
        read_variables(variables or (), os.environ),
        driver_cpus,
    )
    server = connect(address)
    files = {} if package is Package.NONE else own_files()
    _send(server, submission(work, choices, files), choices.run_dir, detach, as_json)


def _everywhere(run_dir: str) -> str:
    """The run folder as the job is told of it; a store need not be within reach from here."""
    from ray_compt.storage import is_url

    return run_dir if is_url(run_dir) else str(Path(run_dir.removeprefix("file://")).absolute())


def _check(command: str, file: str, overrides: Any) -> None:
    """Find here what only the models tell; the job would find it minutes later."""
    if command == "train":
        from ray_compt.cli.chain_file import open_chain

        open_chain(file, overrides)
    else:
        from ray_compt.config.sweep_file import load_sweep
        from ray_compt.sweep.check import check_sweep

        check_sweep(load_sweep(file, overrides))


def _send(server: Any, job: Submission, run: str, detach: bool, as_json: bool) -> None:
    from ray_compt.cli.output import print_json

    name = server.submit(job)
    ours = sys.stderr if as_json else sys.stdout
    print(f"job {name} at {server.address}; run folder {run}", file=ours, flush=True)
    code: int | None = None
    if detach:
        print("\n".join(_commands(name, server.address)), file=ours)
    else:
        code = _follow(server, name, ours)
    if as_json:
        print_json({"job": name, "address": server.address, "run": run, "exit_code": code})
    if code:
        raise typer.Exit(code)


def _follow(server: Any, name: str, ours: Any) -> int:
    """Pass the job's lines on to its end; returns its exit code."""
    from ray_compt.jobs.following import follow

    def write(text: str) -> None:
        ours.write(text)
        ours.flush()

    try:
        info = follow(server, name, write)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            "\n".join(["detached; the job goes on", *_commands(name, server.address)])
        ) from None
    return _closing(name, info)


def _closing(name: str, info: Any) -> int:
    """Say how a job ended where it did not end well; returns the exit code that `compt` itself would have had."""
    status = str(info.status)
    if status == "SUCCEEDED":
        return 0
    if status == "STOPPED":
        print(f"job {name} was stopped; the same command goes on", file=sys.stderr)
        return DRIVER_STOPPED
    if info.driver_exit_code is None:
        # It never began, and nothing of this is in its lines.
        print(f"job {name} failed: {(info.message or 'no reason given').strip()}", file=sys.stderr)
        return 1
    print(f"job {name} failed with exit code {info.driver_exit_code}", file=sys.stderr)
    return int(info.driver_exit_code)


def _commands(name: str, address: str) -> list[str]:
    return [
        f"  compt status {name} --address {address}            where it is",
        f"  ray job logs --follow {name} --address {address}   its lines",
        f"  ray job stop {name} --address {address}            stops it, after a checkpoint",
    ]
