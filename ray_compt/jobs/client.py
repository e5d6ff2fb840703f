"""Ray's job server: connecting with the cluster's token, submitting, asking."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ray_compt.errors import UserError
from ray_compt.jobs.submission import Submission

CONNECT_S = 10
# Of these two the first that is set names the cluster; Ray lets them win over what its client is given.
ADDRESSES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_PORTS = {"http": 80, "https": 443}
Answer = TypeVar("Answer")


class JobServer:
    """Ray's job server of one cluster.

    Attributes:
        address: URL of the dashboard that answers.
        client: Ray's own `JobSubmissionClient`.
    """

    def __init__(self, client: Any):
        self.client = client
        self.address: str = client.get_address()

    def submit(self, job: Submission) -> str:
        """Send a job's files and start it; returns its submission id.

        Raises:
            UserError: the server refuses it.
        """
        with tempfile.TemporaryDirectory(prefix="compt") as folder:
            _write(Path(folder), job.files)
            environment = {**job.runtime_env, "working_dir": folder}
            cpus = job.driver_cpus or None
            return self._ask(
                lambda: self.client.submit_job(
                    entrypoint=job.entrypoint,
                    runtime_env=environment,
                    metadata=dict(job.metadata),
                    entrypoint_num_cpus=cpus,
                )
            )

    def info(self, job: str) -> Any:
        """Ray's `JobDetails`.

        Raises:
            UserError: there is no such job.
        """
        try:
            return self._ask(lambda: self.client.get_job_info(job))
        except UserError as error:
            if "404" not in error.message:
                raise
            raise UserError(
                f"no such job at {self.address}",
                where=job,
                mend="`ray job list` shows those that there are; for a run, give its folder or URL",
            ) from error

    def log(self, job: str) -> str:
        """All that its driver has printed so far; empty where it cannot be had."""
        try:
            return self._ask(lambda: self.client.get_job_logs(job))
        except UserError:
            return ""

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        import requests

        try:
            return question()
        except (RuntimeError, ValueError, requests.RequestException) as error:
            raise UserError(
                f"the job server refuses ({_first_line(error)})",
                where=self.address,
                mend="look at the dashboard's log on the head node",
            ) from error


def connect(address: str | None) -> JobServer:
    """The job server of a cluster.

    Args:
        address: URL of the dashboard (http://HOST:8265), HOST:PORT of the cluster as for `compt train`, "auto", or
            None: the cluster that runs on this machine.

    Raises:
        UserError: nobody answers there, or the token is missing or wrong.
    """
    where = f"address {address or 'auto'}"
    _knock(address, where)
    import requests
    from ray._private.authentication.authentication_token_setup import (
        maybe_enable_token_auth_if_token_available,
    )
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    # The client's loggers have levels of their own.
    for name in ("ray", "ray.dashboard.modules.dashboard_sdk", "ray.dashboard.modules.job.sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        with _without(ADDRESSES):
            return JobServer(JobSubmissionClient(None if address == "auto" else address))
    except AuthenticationError as error:
        raise UserError(
            f"the cluster does not take this token ({_first_line(error)})",
            where=where,
            mend="set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's token",
        ) from error
    except (ConnectionError, RuntimeError, ValueError, requests.RequestException) as error:
        raise _nobody(where, _first_line(error)) from error


def _knock(address: str | None, where: str) -> None:
    """Connect to HOST:PORT first, because Ray tries for a minute before it gives up."""
    if address is None or address == "auto":
        return
    try:
        url = urlsplit(address if "://" in address else f"//{address}")
        host, port = url.hostname, url.port or _PORTS.get(url.scheme)
        if not host or not port:
            raise ValueError
    except ValueError:
        mend = "give the dashboard's http://HOST:PORT, the cluster's HOST:PORT, or auto"
        raise UserError(f"{address!r} is no address", where="--address", mend=mend) from None
    try:
        socket.create_connection((host, port), timeout=CONNECT_S).close()
    except (OSError, UnicodeError) as error:
        raise _nobody(where, str(error)) from error


def _nobody(where: str, reason: str) -> UserError:
    return UserError(
        f"no job server answers ({reason})",
        where=where,
        mend="start Ray with its dashboard (`ray start --head`), and give its URL: --address http://HOST:8265",
    )


@contextmanager
def _without(names: tuple[str, ...]) -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
