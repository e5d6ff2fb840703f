"""A fork server before there is a Ray: imports, then becomes the server that a launcher hands over to it.

    python preloaded.py LISTENER MODULES WATCHED

It ends with the process WATCHED, the driver, until it is a server.
"""

from __future__ import annotations

import os
import selectors
import socket
import sys

if __name__ == "__main__":
    # This file is a script: its folder is on the path now, and must not stay there.
    sys.path.pop(0)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ray_compt.forkserver import server
from ray_compt.forkserver.launcher import peer_user


def main() -> None:
    listener, watched = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[3])
    end = os.pidfd_open(watched)
    server.import_all(sys.argv[2].split(","), watched)
    handed_over = _wait(listener, end)
    os.close(end)
    listener.close()
    if handed_over is not None:
        _become_server(*handed_over)


def _wait(listener: socket.socket, end: int) -> tuple[server.Request, list[int]] | None:
    """The launcher's server, as the request for it and the numbers of its listener and log; None at the end."""
    with selectors.DefaultSelector() as selector:
        selector.register(end, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while end not in [key.fd for key, _ in selector.select()]:
            connection, _ = listener.accept()
            numbers: list[int] = []
            with connection:
                try:
                    if peer_user(connection) == os.getuid():
                        return server.receive(connection, numbers, 2), numbers
                except (OSError, ValueError):
                    server.close(numbers)
    return None


def _become_server(request: server.Request, numbers: list[int]) -> None:
    listener, log = numbers
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    path, modules, watched = request["argv"]
    server.run(socket.socket(fileno=listener), path, modules.split(","), int(watched))


if __name__ == "__main__":
    main()
