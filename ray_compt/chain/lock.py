"""One driver at a time in a run folder.

    RUN/driver.json    {"host", "pid", "started", "job"}: who trains here; "job" is its Ray job, null outside of one

On a disk the driver holds a lock on that file, which the kernel takes back when the process ends, however it
ends: what a dead driver leaves behind stops nobody. An object store has no locks; see `lease.py`.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ray_compt.chain.lease import hold_lease, seems_alive
from ray_compt.errors import UserError
from ray_compt.storage import LocalPlace, Place
from ray_compt.train.ray_job import job_id

NAME = "driver.json"


class HeldElsewhere(UserError):
    """Another driver holds the folder."""


@dataclass(frozen=True)
class Driver:
    """Who trains in a run folder, as far as its driver.json tells.

    Attributes:
        host, pid: of its process.
        started: seconds since the epoch.
        job: submission id of its Ray job; None outside of one.
        alive: whether it still runs; None: it runs on another host, of which a disk tells nothing.
    """

    host: str
    pid: int
    started: float
    job: str | None
    alive: bool | None


def read_driver(folder: Place) -> Driver | None:
    """The driver that holds, or held, a run folder; None where nobody does. Takes no lock and writes nothing."""
    try:
        holder = json.loads((folder / NAME).read_text())
        host, pid, started = str(holder["host"]), int(holder["pid"]), float(holder["started"])
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    job = holder.get("job")
    known = host == socket.gethostname() or "beat" in holder
    alive = seems_alive(holder, {"host": socket.gethostname()}) if known else None
    return Driver(host, pid, started, job if isinstance(job, str) else None, alive)


@contextmanager
def only_driver(folder: Place) -> Iterator[None]:
    """Hold the run folder while the block runs.

    Raises:
        HeldElsewhere: another driver holds it; the message says which, and since when.
    """
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.time(), "job": job_id()}
    if not isinstance(folder, LocalPlace):
        with hold_lease(folder / NAME, me, lambda holder: _refusal(folder, holder)):
            yield
        return
    descriptor = os.open(folder.path / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(folder, _parsed(file.read())) from None
        file.truncate()
        json.dump(me, file)
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()


def _parsed(holder: str) -> Any:
    try:
        return json.loads(holder)
    except ValueError:
        return None


def _refusal(folder: Place, holder: Any) -> HeldElsewhere:
    try:
        who = f"host {holder['host']}, pid {holder['pid']}, for {time.time() - holder['started']:.0f} s"
    except (KeyError, TypeError):
        who = "just started"
    return HeldElsewhere(
        f"another driver trains here ({who})",
        where=str(folder),
        mend="wait for it, stop it, or give another --run-dir",
    )
