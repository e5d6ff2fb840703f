"""One driver at a time in a run folder.

    RUN/driver.json    {"host", "pid", "started"}: who trains here

The driver holds a lock on that file, which the kernel takes back when the process ends, however it ends: what a
dead driver leaves behind stops nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ray_compt.errors import UserError

NAME = "driver.json"


@contextmanager
def only_driver(folder: Path) -> Iterator[None]:
    """Hold the run folder while the block runs.

    Raises:
        UserError: another driver holds it; the message says which, and since when.
    """
    path = folder / NAME
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(folder, file.read()) from None
        file.truncate()
        json.dump({"host": socket.gethostname(), "pid": os.getpid(), "started": time.time()}, file)
        file.flush()
        yield
        file.seek(0)
        file.truncate()


def _refusal(folder: Path, holder: str) -> UserError:
    try:
        found = json.loads(holder)
        who = f"host {found['host']}, pid {found['pid']}, for {time.time() - found['started']:.0f} s"
    except (ValueError, KeyError, TypeError):
        who = "just started"
    return UserError(
        f"another driver trains here ({who})",
        where=str(folder),
        mend="wait for it, stop it, or give another --run-dir",
    )
