"""A real S3 endpoint on the loopback, moto's, whose replies can be made to fail, stall or end in mid-body."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Fault = Literal["error", "denied", "stall", "slow", "cut", "drip"]
# Decides what happens to a request: its number from 1, its method and its path.
Plan = Callable[[int, str, str], Fault | None]

STALL_S, SLOW_S = 30.0, 0.2
KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
_REPLIES = {"error": ("503 Slow Down", "SlowDown"), "denied": ("403 Forbidden", "AccessDenied")}


class S3:
    """The endpoint.

    Attributes:
        url: of the endpoint.
        plan: what happens to each request; assign another at any time.
        requests: requests so far.
        done: how often each fault was given.
    """

    def __init__(self) -> None:
        self.plan: Plan = healthy
        self.requests = 0
        self.done: Counter[str] = Counter()
        self._over = threading.Event()
        self._count = itertools.count(1)
        self._moto: Any = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Silent)
        self._server.daemon_threads = True
        self._server.log = lambda *_: None
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.url}

    def heal(self) -> None:
        """Answer as it should from now on, and end what is stalling or dripping."""
        self.plan = healthy
        self.done.clear()
        self._over.set()
        self._over = threading.Event()

    def stop(self) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.requests = next(self._count)
        fault = self.plan(self.requests, environ["REQUEST_METHOD"], environ["PATH_INFO"])
        if fault is None:
            return self._moto(environ, start_response)
        self.done[fault] += 1
        if fault in _REPLIES:
            status, code = _REPLIES[fault]
            body = f"<Error><Code>{code}</Code><Message>as planned</Message></Error>".encode()
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]
        if fault == "stall":
            self._over.wait(STALL_S)
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        if fault == "slow":
            time.sleep(SLOW_S)
            return self._moto(environ, start_response)
        return self._broken(environ, b"".join(self._moto(environ, start_response)), fault)

    def _broken(self, environ: dict[str, Any], body: bytes, fault: Fault) -> Iterator[bytes]:
        """Half of the body and the end of the connection, or the body byte by byte."""
        if fault == "cut":
            yield body[: len(body) // 2]
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return
        over = self._over
        for place in range(len(body)):
            yield body[place : place + 1]
            if over.wait(0.5):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                return


class _Silent(WSGIRequestHandler):
    """Broken connections are what the tests ask for."""

    def log(self, *_: Any) -> None: ...


def healthy(number: int, method: str, path: str) -> Fault | None:
    return None


def every(n: int, *faults: Fault) -> Plan:
    """Every n-th request meets one of the faults, in turn."""
    return lambda number, method, path: None if number % n else faults[number // n % len(faults)]


def always(fault: Fault, *, path: str = "") -> Plan:
    """Every request whose path holds `path` meets the fault."""
    return lambda number, method, asked: fault if path in asked else None


@contextmanager
def s3_server() -> Iterator[S3]:
    """An endpoint of its own with a bucket named "bucket"."""
    server = S3()
    try:
        _client(server).create_bucket(Bucket="bucket")
        yield server
    finally:
        server.stop()


def upload(server: S3, folder: Path, prefix: str) -> None:
    """Put a folder's files under `prefix` in the bucket."""
    client = _client(server)
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        client.upload_file(str(file), "bucket", f"{prefix}/{file.relative_to(folder).as_posix()}")


def download(server: S3, prefix: str, folder: Path) -> None:
    """Fetch everything under `prefix`."""
    client = _client(server)
    for key in keys(server, prefix):
        file = folder / key.removeprefix(prefix).lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        client.download_file("bucket", key, str(file))


def keys(server: S3, prefix: str = "") -> list[str]:
    """The keys of the bucket under `prefix`, sorted, without the empty objects that stand for folders."""
    pages = _client(server).get_paginator("list_objects_v2").paginate(Bucket="bucket", Prefix=prefix)
    found = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return sorted(key for key in found if not key.endswith("/"))


def clear(server: S3) -> None:
    """Empty the bucket."""
    client = _client(server)
    for entry in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=entry["Key"])


def _client(server: S3) -> Any:
    """Amazon's own client, so that the tests look at the bucket with other eyes than ray_compt's."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name=KEYS["AWS_REGION"],
    )
