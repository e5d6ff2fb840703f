"""What is sent to Ray's job server: the entry point, its files, its environment. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ray_compt.errors import UserError
from ray_compt.jobs.wheel import PACKAGE, make_wheel
from ray_compt.jobs.work import Work

# How ray_compt comes to the cluster's nodes.
Way = Literal["copy", "pip", "none"]
WAYS: tuple[Way, ...] = get_args(Way)

# Names in the job's metadata.
RUN, COMMAND = "compt_run", "compt_command"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Submission:
    """A job to be.

    Attributes:
        entrypoint: its shell command.
        files: contents by path in its working directory.
        runtime_env: Ray's runtime environment, but for the working directory.
        metadata: kept with the job; the run folder among it.
        driver_cpus: logical CPUs held for the entry point; above 0, it may run on any node.
    """

    entrypoint: str
    files: Mapping[str, bytes]
    runtime_env: Mapping[str, Any]
    metadata: Mapping[str, str]
    driver_cpus: float = 0.0


@dataclass(frozen=True)
class Choices:
    """What somebody may choose about a job.

    Attributes:
        run_dir: the run folder, an absolute path or a URL.
        way: "copy": this ray_compt goes along, and its dependencies are there already; "pip": every node installs it
            with them; "none": the cluster's own is used.
        arguments: further ones of `compt train` or `compt tune`.
        variables: environment variables of the driver and all workers.
        driver_cpus: as in `Submission`.
    """

    run_dir: str
    way: Way = "copy"
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    driver_cpus: float = 0.0


def submission(work: Work, choices: Choices, package: Mapping[str, bytes]) -> Submission:
    """The job that does some work.

    Args:
        work: the chain or sweep.
        choices: how.
        package: contents of a wheel of ray_compt, by path; nothing where `choices.way` is "none".
    """
    words = ["python", "-m", "ray_compt", work.command, work.file, "--run-dir", choices.run_dir]
    for override in work.overrides:
        words += ["--set", override]
    files, environment = dict(work.files), dict[str, Any]()
    if choices.way == "copy":
        files |= {name: content for name, content in package.items() if name.startswith(PACKAGE)}
    elif choices.way == "pip":
        name, content = make_wheel(package)
        files[name] = content
        environment["pip"] = ["${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}/" + name]
    if choices.variables:
        environment["env_vars"] = dict(choices.variables)
    return Submission(
        entrypoint=shlex.join([*words, *choices.arguments]),
        files=files,
        runtime_env=environment,
        metadata={RUN: choices.run_dir, COMMAND: work.command},
        driver_cpus=choices.driver_cpus,
    )


def read_variables(texts: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Environment variables from `NAME=VALUE` texts; a bare `NAME` takes its value along from `environment`.

    Raises:
        UserError: no name, or one without a value here.
    """
    found = {}
    for text in texts:
        name, given, value = text.partition("=")
        if not _VARIABLE.fullmatch(name):
            mend = "write --env NAME=VALUE, or --env NAME"
            raise UserError("names no environment variable", where=f"--env {text}", mend=mend)
        if not given and name not in environment:
            mend = "write --env NAME=VALUE, or set it here"
            raise UserError("is not set here", where=f"--env {name}", mend=mend)
        found[name] = value if given else environment[name]
    return found


def run_of_job(metadata: Mapping[str, str], log: str) -> str | None:
    """The run folder of a job: from its metadata, else from the line in which its driver names it."""
    if RUN in metadata:
        return metadata[RUN]
    named = re.search(r"^(?:chain|sweep) .*(?:; run folder | to go; )(\S.*)$", log, re.MULTILINE)
    return named[1].strip() if named else None
