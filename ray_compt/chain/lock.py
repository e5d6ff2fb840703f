"""One driver at a time in a run folder.

    RUN/driver.json    {"host", "pid", "started"}: who trains here

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
from typing import Any

from ray_compt.chain.lease import hold_lease
from ray_compt.errors import UserError
from ray_compt.storage import LocalPlace, Place

NAME = "driver.json"


class HeldElsewhere(UserError):
    """Another driver holds the folder."""


@contextmanager
def only_driver(folder: Place) -> Iterator[None]:
    """Hold the run folder while the block runs.

    Raises:
        HeldElsewhere: another driver holds it; the message says which, and since when.
    """
    me = {"host": socket.gethostname(), "pid": os.getpid(), "started": time.time()}
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
