"""The fork server: imports what workers need, then forks one for each request.

    python server.py LISTENER SOCKET MODULES WATCHED

It ends with the process WATCHED, or when it has had no worker for a while; the next launcher starts another one then.
Its workers stay: they are Ray's. It has one thread and never touches a GPU, both of which a fork would not survive.
"""

from __future__ import annotations

import array
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

if __name__ == "__main__":
    # This file is a script: its folder is on the path now, and must not stay there.
    sys.path.pop(0)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from ray_compt.forkserver.launcher import LENGTH, NO, OOM_SCORE, YES, peer_user
from ray_compt.forkserver.ray_ids import differ_in_forks, keep_unseeded

# Seconds without a worker.
IDLE_S = 60.0
# Seconds for a launcher to send all of its request, which it does at once.
REQUEST_S = 5.0
STREAMS = 3
Request = dict[str, Any]


def main() -> None:
    run(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], sys.argv[3].split(","), int(sys.argv[4]))


def run(listener: socket.socket, path: str, modules: list[str], watched: int) -> None:
    """Serve to the end, or be a worker.

    Args:
        listener: whom launchers connect to.
        path: its name in the file system.
        modules: what workers need.
        watched: the process to end with.
    """
    fork = _serve(listener, watched, willing=_prepare(modules, watched))
    if fork is not None:
        _become(fork)
    else:
        with suppress(OSError):
            os.unlink(path)


def _prepare(modules: list[str], watched: int) -> bool:
    """Import the modules; returns whether workers can be forked then."""
    with_ray = any(module.split(".")[0] in {"ray", "ray_compt"} for module in modules)
    if with_ray:
        keep_unseeded()
    if not import_all(modules, watched):
        return False
    # What is there already is never garbage: looking at it would copy its pages into every worker.
    gc.collect()
    gc.freeze()
    if with_ray and not differ_in_forks():
        print("forks would draw the same identifiers: workers start plainly", file=sys.stderr, flush=True)
        return False
    return True


def import_all(modules: list[str], watched: int) -> bool:
    """Import the modules; returns False where the process WATCHED has ended meanwhile."""
    for module in modules:
        if not _alive(watched):
            return False
        try:
            importlib.import_module(module)
        except Exception:
            # Workers import it themselves, and say so better.
            traceback.print_exc()
    return True


@dataclass(frozen=True)
class _Fork:
    """What a fork needs to become the worker that a launcher asked for.

    Attributes:
        request: of the launcher.
        streams: the launcher's standard streams.
        connection: to the launcher, which waits until it closes.
    """

    request: Request
    streams: list[int]
    connection: socket.socket


def _serve(listener: socket.socket, watched: int, *, willing: bool) -> _Fork | None:
    """Fork workers until the end, or say no; returns what to become in a fork, None in the server."""
    with selectors.DefaultSelector() as selector, suppress(ProcessLookupError):
        end = os.pidfd_open(watched)
        selector.register(end, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        workers: dict[int, int] = {}
        while True:
            ready = [key.fd for key, _ in selector.select(None if workers else IDLE_S)]
            if end in ready or not (ready or workers):
                return None
            for number in workers.keys() & set(ready):
                os.waitpid(workers.pop(number), 0)
                selector.unregister(number)
                os.close(number)
            if listener.fileno() not in ready or (fork := _accept(listener, willing)) is None:
                continue
            pid = os.fork()
            if pid == 0:
                close([listener.detach(), end, *workers])
                return fork
            close([fork.connection.detach(), *fork.streams])
            number = os.pidfd_open(pid)
            workers[number] = pid
            selector.register(number, selectors.EVENT_READ)
    return None


def _accept(listener: socket.socket, willing: bool) -> _Fork | None:
    """The next launcher's request; None where we may or will not fulfil it, or nobody waits for it any more."""
    connection, _ = listener.accept()
    streams: list[int] = []
    try:
        if peer_user(connection) != os.getuid():
            raise PermissionError("another user")
        request = receive(connection, streams, STREAMS)
        # A launcher that waited too long is a worker by now, and Ray wants each only once.
        connection.sendall(YES if willing else NO)
        if not willing:
            raise ValueError("no forks")
    except (OSError, ValueError):
        close([connection.detach(), *streams])
        return None
    return _Fork(request, streams, connection)


def receive(connection: socket.socket, attached: list[int], count: int) -> Request:
    """A launcher's request; the numbers of the files that come with it are added to `attached`.

    Raises:
        OSError, ValueError: it is not whole, or `count` files have not come with it.
    """
    connection.settimeout(REQUEST_S)
    numbers = array.array("i")
    head, ancillary, _, _ = connection.recvmsg(LENGTH.size, socket.CMSG_SPACE(count * numbers.itemsize))
    for _, kind, data in ancillary:
        if kind == socket.SCM_RIGHTS:
            numbers.frombytes(data)
    attached.extend(numbers)
    with connection.makefile("rb") as file:
        body = file.read(LENGTH.unpack(head)[0] if len(head) == LENGTH.size else 0)
    if len(attached) != count:
        raise ValueError(f"{count} files come with a request")
    request: Request = json.loads(body)
    return request


def _become(fork: _Fork) -> None:
    """Be the worker; the connection stays open, unused, until this process ends."""
    # Ray ends a worker together with its process group.
    os.setsid()
    for number, stream in enumerate(fork.streams):
        os.dup2(stream, number)
    close(fork.streams)
    _take_over(fork.request)
    if _spoilt():
        fork.connection.set_inheritable(True)
        os.execv(sys.executable, [sys.executable, *sys.argv])
    runpy.run_path(sys.argv[0], run_name="__main__")


def _take_over(request: Request) -> None:
    """Be as a process would be that the launcher had started."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, request["niceness"])
    with suppress(OSError), open(OOM_SCORE, "w") as score:
        score.write(request["oom_score"])
    sys.argv = request["argv"]
    given = [folder for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep) if folder]
    sys.path[:0] = [os.path.dirname(sys.argv[0]), *(folder for folder in given if folder not in sys.path)]
    if (numpy := sys.modules.get("numpy")) is not None:
        # Its global generator was seeded before the fork.
        numpy.random.seed()
    if (torch := sys.modules.get("torch")) is not None:
        # Ray says how many CPUs there are with each task, too late for a torch that is imported.
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))


def _spoilt() -> bool:
    """Whether some import has touched a GPU, which nobody can use after a fork."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda._is_in_bad_fork()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def close(numbers: list[int]) -> None:
    for number in numbers:
        with suppress(OSError):
            os.close(number)


if __name__ == "__main__":
    main()
