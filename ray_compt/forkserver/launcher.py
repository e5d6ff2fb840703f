"""What Ray starts in place of a worker: asks the fork server for it and lives as long as it does.

    python -I -S launcher.py MODULES default_worker.py ARGUMENTS...

It is started once per worker, so it imports the standard library only, and little of that. The server listens beside
the raylet's own socket, one for each job, because Ray's library takes job and raylet from the environment in which it
is loaded. Whoever finds no server starts one.

A request is a length (4 bytes, big-endian) with the three standard streams attached, then that many bytes of JSON. The
answer is one byte, YES once the worker is there; the connection closes when the worker ends.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from contextlib import suppress

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")
LENGTH = struct.Struct("!I")
YES, NO = b"+", b"-"
# Seconds until the first worker is there: the server may still be importing. Ray itself waits for 60.
ANSWER_S = 45.0
OOM_SCORE = "/proc/self/oom_score_adj"
# Where a process waits that has imported most already and can become the server (preloaded.py).
PRELOADED = "COMPT_PRELOADED"
# Seconds until such a process has room for a message; it needs not have read it.
HAND_OVER_S = 2.0


def main() -> None:
    modules, *worker = sys.argv[1:]
    try:
        connection, server = _connect(_beside_raylet(worker), modules)
        _request(connection, worker)
    except OSError as error:
        print(f"no fork server: {error}", file=sys.stderr)
        os.execv(sys.executable, [sys.executable, *worker])
    connection.settimeout(None)
    with suppress(OSError):
        connection.recv(1)
    if server is not None:
        # So that the server and all that it forks stay descendants of the raylet, for whoever looks for them.
        server.wait()


def peer_user(connection: socket.socket) -> int:
    """The user at the other end of a connection."""
    credentials = struct.Struct("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    return credentials.unpack(found)[1]


def listen(listener: socket.socket, path: str) -> None:
    """Listen at a path, for this user only."""
    mask = os.umask(0o077)
    try:
        listener.bind(path)
    finally:
        os.umask(mask)
    listener.listen(64)


def start_script(
    script: str, listener: socket.socket, arguments: list[str], output: int
) -> subprocess.Popen[bytes]:
    """Start a script on a listener, whose number is its first argument; `output` as for Popen."""
    number = listener.fileno()
    return subprocess.Popen(
        [sys.executable, script, str(number), *arguments],
        pass_fds=[number],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        # What Ray or a terminal sends to a group is not meant for it.
        start_new_session=True,
    )


def _beside_raylet(worker: list[str]) -> str:
    raylet = next(word.split("=", 1)[1] for word in worker if word.startswith("--raylet-name="))
    folder, name = os.path.split(raylet)
    # As short as Ray's own names there, which only just fit where its folder's name is long.
    return os.path.join(folder, "f" + os.environ.get("RAY_JOB_ID", "")[:4] + name.removeprefix("raylet"))


def _connect(path: str, modules: str) -> tuple[socket.socket, subprocess.Popen[bytes] | None]:
    """A connection to the server, and the server where it had to be started."""
    connection, server = socket.socket(socket.AF_UNIX), None
    with open(path + ".l", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            connection.connect(path)
        except OSError:
            server = _start_server(path, modules)
            connection.connect(path)
    if peer_user(connection) != os.getuid():
        raise PermissionError(f"{path} belongs to somebody else")
    return connection, server


def _start_server(path: str, modules: str) -> subprocess.Popen[bytes] | None:
    """Start a server at a path, or let the process that waits for it become one; returns the former."""
    logs = os.path.join(os.path.dirname(os.path.dirname(path)), "logs")
    log = os.path.join(logs, "fork_server.log") if os.path.isdir(logs) else os.devnull
    with socket.socket(socket.AF_UNIX) as listener, open(log, "a") as output:
        if os.path.exists(path):
            os.unlink(path)
        listen(listener, path)
        # It ends with the raylet, whose child this process is.
        arguments = [path, modules, str(os.getppid())]
        if _hand_over(arguments, [listener.fileno(), output.fileno()]):
            return None
        return start_script(SERVER, listener, arguments, output.fileno())


def _hand_over(arguments: list[str], files: list[int]) -> bool:
    """Whether the driver has a process that becomes the server; where it has just ended, workers start plainly."""
    path = os.environ.get(PRELOADED)
    if not path:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(HAND_OVER_S)
        connection.connect(path)
        if peer_user(connection) == os.getuid():
            _send(connection, {"argv": arguments}, files)
            return True
    return False


def _request(connection: socket.socket, worker: list[str]) -> None:
    with open(OOM_SCORE) as score:
        like_this = {"niceness": os.getpriority(os.PRIO_PROCESS, 0), "oom_score": score.read()}
    connection.settimeout(ANSWER_S)
    _send(connection, {"argv": worker, **like_this}, [0, 1, 2])
    if connection.recv(1) != YES:
        raise ConnectionError("it cannot fork, see fork_server.log")


def _send(connection: socket.socket, request: dict[str, object], files: list[int]) -> None:
    body = json.dumps({"cwd": os.getcwd(), "env": dict(os.environ), **request}).encode()
    connection.sendmsg(
        [LENGTH.pack(len(body))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
    )
    connection.sendall(body)


if __name__ == "__main__":
    main()
