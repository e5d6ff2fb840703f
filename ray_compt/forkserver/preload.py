"""Importing for the fork server while the driver still imports for itself.

Where the driver starts Ray on its own machine, the fork server need not wait for Ray: a process imports what needs no
Ray, waits for the launcher of the first worker and goes on as the server that this launcher would have started. Ray's
own modules come only then, because Ray's library reads job and raylet from the environment in which it is loaded.
"""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ray_compt.forkserver import preloaded
from ray_compt.forkserver.command import available
from ray_compt.forkserver.launcher import PRELOADED, listen, start_script

# The slow ones of what workers import; none of them may import Ray.
MODULES = ("torch", "torchvision", "open_clip", "pandas", "pyarrow", "safetensors.torch", "ray_compt.models")


@contextmanager
def preloading(modules: Sequence[str] = MODULES) -> Iterator[None]:
    """Let a Ray that is started on this machine while inside find a fork server that has imported most already."""
    if not available(os.environ) or PRELOADED in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="compt") as folder:
        process = None
        # A path too long for a socket, or no process to be had: the first launcher starts the server.
        with suppress(OSError), socket.socket(socket.AF_UNIX) as listener:
            path = os.path.join(folder, "s")
            listen(listener, path)
            arguments = [",".join(modules), str(os.getpid())]
            process = start_script(preloaded.__file__, listener, arguments, subprocess.DEVNULL)
            os.environ[PRELOADED] = path
        try:
            yield
        finally:
            os.environ.pop(PRELOADED, None)
            if process is not None:
                process.terminate()
                process.wait()
